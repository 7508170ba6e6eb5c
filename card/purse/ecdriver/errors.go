package ecdriver

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/purse"
)

// words are errors of cards and checks in the words of package purse, the first that fits.
var words = []struct{ is, word error }{
	{ec.ErrNoApplication, purse.ErrNoPurse},
	{ec.ErrBlocked, purse.ErrBlocked},
	{ec.ErrExpired, purse.ErrExpired},
	{ec.ErrUnknownCA, purse.ErrKey},
	{ec.ErrCAExpired, purse.ErrKey},
	{ec.ErrNotContactless, purse.ErrDeclined},
	{ec.ErrPDOL, purse.ErrDeclined},
	{ec.ErrConditions, purse.ErrDeclined},
	{ec.ErrOtherInterface, purse.ErrDeclined},
	{ec.ErrNoTransit, purse.ErrDeclined},
	{ec.ErrTransitMAC, purse.ErrDeclined},
}

// told says an error in the words of package purse. What has no word there stays as it is: the card has left, or answers what it must not.
func told(err error) error {
	for _, w := range words {
		if errors.Is(err, w.is) {
			return fmt.Errorf("%w: %w", w.word, err)
		}
	}
	return err
}

// declined is told of the terminal's own decision: whatever has no word of its own is a refusal.
func declined(err error) error {
	if t := told(err); t != err || isLeft(err) {
		return t
	}
	return fmt.Errorf("%w: %w", purse.ErrDeclined, err)
}

// openTold is told of an error of SELECT: a card that has never heard of payment answers it with any word.
func openTold(err error) error {
	var refused *ec.StatusError
	if errors.As(err, &refused) && !errors.Is(err, ec.ErrBlocked) {
		return fmt.Errorf("%w: %w", purse.ErrNoPurse, err)
	}
	return told(err)
}

func isLeft(err error) bool {
	return errors.Is(err, apdu.ErrNotSent) || errors.Is(err, apdu.ErrNoAnswer)
}
