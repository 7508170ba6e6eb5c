package pursetest

import (
	"context"
	"errors"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/purse"
)

func isOther(err error) bool   { return errors.Is(err, purse.ErrOtherCard) }
func isNoPurse(err error) bool { return errors.Is(err, purse.ErrNoPurse) }

// isInsufficient also takes a card that declines without a reason.
func isInsufficient(err error) bool {
	return errors.Is(err, purse.ErrInsufficient) || errors.Is(err, purse.ErrDeclined)
}

// stranger is a card that answers every command with one status word.
type stranger apdu.SW

func (s stranger) Transmit(context.Context, []byte) ([]byte, error) {
	return apdu.Response{SW: apdu.SW(s)}.Bytes(), nil
}
