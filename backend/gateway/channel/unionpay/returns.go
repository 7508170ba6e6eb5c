package unionpay

import (
	"archive/zip"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Returns reads the error items of a settlement day: a pay-out that its bank has sent back is among them, and is told nowhere else.
func (a *Adapter) Returns(ctx context.Context, day string, each func(channel.Return) error) error {
	packed, d, err := a.file(ctx, day)
	if err != nil {
		return err
	}
	return ReadReturns(packed, d, each)
}

// ReadReturns reads the file ZME of what fileContent holds.
func ReadReturns(packed []byte, day time.Time, each func(channel.Return) error) error {
	return entries(packed, func(entry *zip.File) error {
		if !strings.Contains(entry.Name, "ZME_") {
			return nil
		}
		return readEntry(entry, day, ReadReturn, each)
	})
}

// ReadReturn reads a row of ZME. The ChannelID is the first 20 digits of the queryId that it speaks of.
func ReadReturn(row []byte, day time.Time) (channel.Return, error) {
	c, err := columns(row, Flawed)
	if err != nil {
		return channel.Return{}, err
	}
	out := channel.Return{Paid: nearYear(c[FlawOrigTime], day), At: nearYear(c[FlawTime], day), Code: c[FlawCode]}
	if out.Paid.IsZero() || out.At.IsZero() {
		return channel.Return{}, errors.New("its time is none")
	}
	out.ChannelID = out.Paid.Format(timeForm) + c[FlawOrigTrace]
	out.Money, err = billMoney(c[FlawAmount])
	return out, err
}
