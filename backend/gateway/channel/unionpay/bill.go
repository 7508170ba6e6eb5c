package unionpay

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

const (
	maxBill     = 64 << 20  // of the answer that holds the file
	maxUnpacked = 512 << 20 // of one file in it
)

// Normal are the widths in bytes of a row of the file of normal transactions (ZM). A blank follows each, and a reserve the last.
var Normal = []int{3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15, 1, 15, 32, 13, 13, 8, 32, 13, 13, 12, 2, 1}

// Columns of a ZM row.
const (
	ColTime    = 4
	ColAmount  = 6
	ColQueryID = 9
	ColOrder   = 11
	ColFee     = 15
	ColKind    = 19
)

// Flawed are the widths of a row of the file of error items (ZME): the returns and adjustments that banks make later.
var Flawed = []int{3, 11, 11, 6, 10, 19, 12, 4, 2, 2, 6, 10, 4, 12, 13, 13, 15, 15, 1, 12, 2, 135}

// Columns of a ZME row. It names what it speaks of by trace number and time alone.
const (
	FlawCode      = 0
	FlawTime      = 4
	FlawAmount    = 6
	FlawOrigTrace = 10
	FlawOrigTime  = 11
)

// Bill reads the file of a settlement day. A row of an error item bears the kind [channel.OfRefund], no number, and as ChannelID the first
// 20 digits of the queryId that it speaks of, which are all that the file tells.
func (a *Adapter) Bill(ctx context.Context, day string, each func(channel.BillRow) error) error {
	packed, d, err := a.file(ctx, day)
	if err != nil {
		return err
	}
	return ReadFile(packed, d, each)
}

// file fetches the file of a settlement day, packed as it comes.
func (a *Adapter) file(ctx context.Context, day string) ([]byte, time.Time, error) {
	d, err := time.ParseInLocation(time.DateOnly, day, Zone)
	if err != nil {
		return nil, d, fmt.Errorf("unionpay: %.20q is no day: write YYYY-MM-DD", day)
	}
	f := a.request("76", "01", "000000", "", a.s.Clock.Now())
	delete(f, "orderId")
	f.set("fileType", "00", "settleDate", d.Format("0102"))
	answer, err := a.post(ctx, a.s.Files, f, maxBill)
	switch {
	case err != nil:
		return nil, d, err
	case answer["respCode"] == "98":
		return nil, d, channel.ErrNoBillYet
	case answer["respCode"] != "00":
		return nil, d, fmt.Errorf("unionpay: the file of %s is refused with %.4q: %s", day, answer["respCode"], message(answer["respMsg"]))
	}
	packed, err := base64.StdEncoding.DecodeString(answer["fileContent"])
	if err != nil {
		return nil, d, errors.New("unionpay: fileContent is no base64")
	}
	return packed, d, nil
}

// ReadFile reads what fileContent holds: a zip, deflated once more, with the files ZM and ZME of a day.
func ReadFile(packed []byte, day time.Time, each func(channel.BillRow) error) error {
	return entries(packed, func(entry *zip.File) error {
		read := rowReader(entry.Name)
		if read == nil {
			return nil
		}
		return readEntry(entry, day, read, each)
	})
}

// entries hands on what a packed file holds.
func entries(packed []byte, each func(*zip.File) error) error {
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return errors.New("unionpay: the file is not deflated as it should be")
	}
	archive, err := limited(z, maxBill)
	if err != nil {
		return err
	}
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return errors.New("unionpay: the file is no zip")
	}
	for _, entry := range r.File {
		if err := each(entry); err != nil {
			return err
		}
	}
	return nil
}

// rowReader picks how to read a file by its name, INN…ZM_… or INN…ZME_…; nil for others.
func rowReader(name string) func([]byte, time.Time) (channel.BillRow, error) {
	switch {
	case strings.Contains(name, "ZME_"):
		return ReadFlawed
	case strings.Contains(name, "ZM_"):
		return ReadNormal
	}
	return nil
}

func readEntry[R any](entry *zip.File, day time.Time, read func([]byte, time.Time) (R, error), each func(R) error) error {
	in, err := entry.Open()
	if err != nil {
		return errors.New("unionpay: a file in the zip does not open")
	}
	defer in.Close() //nolint:errcheck // only read
	text, err := limited(in, maxUnpacked)
	if err != nil {
		return err
	}
	for i, line := range bytes.Split(text, []byte("\n")) {
		if line = bytes.TrimRight(line, "\r"); len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		row, err := read(line, day)
		if err != nil {
			return fmt.Errorf("unionpay: %.60q, line %d: %w", entry.Name, i+1, err)
		}
		if err := each(row); err != nil {
			return err
		}
	}
	return nil
}

func limited(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, errors.New("unionpay: the file is damaged")
	}
	if int64(len(b)) > most {
		return nil, errors.New("unionpay: the file is larger than any real one")
	}
	return b, nil
}

// columns cuts a row by its widths. They count bytes: a Chinese character takes two in GBK.
func columns(row []byte, widths []int) ([]string, error) {
	out, at := make([]string, 0, len(widths)), 0
	for i, w := range widths {
		if len(row) < at+w {
			return nil, fmt.Errorf("the row ends in column %d", i+1)
		}
		out = append(out, strings.TrimSpace(string(row[at:at+w])))
		at += w
		if at < len(row) && row[at] != ' ' {
			return nil, fmt.Errorf("column %d is not followed by a blank", i+1)
		}
		at++
	}
	return out, nil
}

// ReadNormal reads a row of ZM. Fees are positive where the merchant pays.
func ReadNormal(row []byte, day time.Time) (channel.BillRow, error) {
	c, err := columns(row, Normal)
	if err != nil {
		return channel.BillRow{}, err
	}
	out := channel.BillRow{Kind: about(c[ColKind]), Number: c[ColOrder], ChannelID: c[ColQueryID], At: nearYear(c[ColTime], day)}
	if out.Kind == 0 || out.Kind == channel.OfAgreement {
		return channel.BillRow{}, fmt.Errorf("transaction type %.4q moves no money that we know", c[ColKind])
	}
	if out.At.IsZero() {
		return channel.BillRow{}, errors.New("its time is none")
	}
	if out.Money, err = billMoney(c[ColAmount]); err != nil {
		return channel.BillRow{}, err
	}
	out.Fee, err = signedFee(c[ColFee])
	return out, err
}

// ReadFlawed reads a row of ZME.
func ReadFlawed(row []byte, day time.Time) (channel.BillRow, error) {
	r, err := ReadReturn(row, day)
	if err != nil {
		return channel.BillRow{}, err
	}
	return channel.BillRow{Kind: channel.OfRefund, ChannelID: r.ChannelID, Money: r.Money, At: r.At}, nil
}

func billMoney(text string) (channel.Money, error) {
	n, err := strconv.ParseUint(text, 10, 62)
	if err != nil {
		return channel.Money{}, errors.New("its amount is no number of fen")
	}
	return channel.Money{Amount: money.Minor(int64(n)), Currency: "CNY"}, nil
}

// signedFee reads a sum behind D, which we pay, or C, which we get.
func signedFee(text string) (money.Amount, error) {
	if text == "" {
		return money.Amount{}, nil
	}
	n, err := strconv.ParseUint(text[1:], 10, 62)
	if err != nil || text[0] != 'C' && text[0] != 'D' {
		return money.Amount{}, errors.New("its fee is not C or D and a number of fen")
	}
	if text[0] == 'C' {
		return money.Minor(-int64(n)), nil
	}
	return money.Minor(int64(n)), nil
}
