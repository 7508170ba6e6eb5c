package desfiredriver

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/desfire"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
)

// told says an error of the card in the words of package purse. What has no word there stays as it is: the card has left, or answers what it
// must not.
func told(err error) error {
	for _, w := range []struct{ is, word error }{
		{desfire.ErrNoApplication, purse.ErrNoPurse},
		{desfire.ErrNotFound, purse.ErrNoPurse}, // a file that each card of the scheme has
		{desfire.ErrKey, purse.ErrKey},
		{desfire.ErrPermission, purse.ErrDeclined}, // the transaction counter at its limit, or access rights of another layout
	} {
		if errors.Is(err, w.is) {
			return fmt.Errorf("%w: %w", w.word, err)
		}
	}
	return err
}

// openTold is told of an error of Open. A card of another kind answers SELECT with any word of ISO 7816; a card whose key is not ours
// shows it in the authentication.
func openTold(err error) error {
	var status *desfire.StatusError
	switch {
	case errors.As(err, &status) && status.SW>>8 != 0x91:
		return fmt.Errorf("%w: %w", purse.ErrNoPurse, err)
	case errors.Is(err, desfire.ErrAuthentication), errors.Is(err, desfire.ErrAnswer):
		return fmt.Errorf("%w: %w", purse.ErrKey, err)
	}
	return told(err)
}

// door is the SAM, its own faults told apart from the card's.
type door struct{ sam desfire.SAM }

func (d door) Begin(ctx context.Context, number byte, challenge [16]byte) ([32]byte, error) {
	answer, err := d.sam.Begin(context.WithoutCancel(ctx), number, challenge)
	return answer, samTold(err)
}

func (d door) Finish(ctx context.Context, answer [32]byte) (*desfire.Session, error) {
	s, err := d.sam.Finish(context.WithoutCancel(ctx), answer)
	if errors.Is(err, desfire.ErrAnswer) {
		return nil, err
	}
	return s, samTold(err)
}

func samTold(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keys.ErrUnknownKey):
		return fmt.Errorf("%w: %w", purse.ErrKey, err)
	case errors.Is(err, keys.ErrSAMBusy):
		return fmt.Errorf("%w: %w", purse.ErrBusy, err)
	}
	return fmt.Errorf("%w: SAM: %w", purse.ErrTerminal, err)
}
