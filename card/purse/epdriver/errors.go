package epdriver

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
)

// told says an error of the card in the words of package purse. What has no word there stays as it is: the card has left, or answers what it
// must not.
func told(err error) error {
	for _, w := range []struct{ is, word error }{
		{ep.ErrNoPurse, purse.ErrNoPurse},
		{ep.ErrNotFound, purse.ErrNoPurse}, // a file that each purse of the scheme has
		{ep.ErrBlocked, purse.ErrBlocked},
		{ep.ErrInsufficient, purse.ErrInsufficient},
		{ep.ErrKeyIndex, purse.ErrKey},
		{ep.ErrMAC, purse.ErrDeclined},
	} {
		if errors.Is(err, w.is) && !errors.Is(err, w.word) {
			return fmt.Errorf("%w: %w", w.word, err)
		}
	}
	return err
}

// samTold does so with an error of the SAM. It fails for one reason of the card's: a key that it does not have.
func samTold(err error) error {
	switch {
	case errors.Is(err, keys.ErrUnknownKey):
		return fmt.Errorf("%w: %w", purse.ErrKey, err)
	case errors.Is(err, keys.ErrSAMBusy):
		return fmt.Errorf("%w: %w", purse.ErrBusy, err)
	}
	return fmt.Errorf("%w: SAM: %w", purse.ErrTerminal, err)
}
