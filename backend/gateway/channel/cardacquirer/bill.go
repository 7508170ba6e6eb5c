package cardacquirer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// maxFile is the longest settlement file that is read.
const maxFile = 256 << 20

var kinds = map[string]channel.Subject{"PAY": channel.OfPayment, "REF": channel.OfRefund}

// Bill reads the acquirer's settlement file of a day. Nothing of it is handed on before its trailer is checked.
func (a *Adapter) Bill(ctx context.Context, day string, each func(channel.BillRow) error) error {
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return fmt.Errorf("cardacquirer: %.20q is no day: write YYYY-MM-DD", day)
	}
	file, err := a.s.Files.Open(ctx, day)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	all, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil || len(all) > maxFile {
		return errors.New("cardacquirer: the settlement file breaks off or is longer than any real one")
	}
	rows, err := ReadFile(all, a.s.Merchant, day, a.s.Currency)
	if err != nil {
		return fmt.Errorf("cardacquirer: settlement file of %s: %w", day, err)
	}
	for _, r := range rows {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// ReadFile reads a settlement file: H, any number of D, and T with the count, the sum of the signed amounts and the SHA-256 of all lines before.
func ReadFile(all []byte, merchant, day, currency string) ([]channel.BillRow, error) {
	end := bytes.LastIndexByte(bytes.TrimSuffix(all, []byte("\n")), '\n') + 1
	lines := strings.Split(strings.TrimSuffix(string(all[:end]), "\n"), "\n")
	if want := "H|1|" + merchant + "|" + day + "|" + currency; lines[0] != want {
		return nil, errors.New("its head is not that of this merchant, day and currency in version 1")
	}
	var rows []channel.BillRow
	var sum money.Amount
	for i, line := range lines[1:] {
		r, err := readRow(line, currency)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		move := sum.Add
		if r.Kind == channel.OfRefund {
			move = sum.Sub
		}
		if sum, err = move(r.Money.Amount); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	hash := sha256.Sum256(all[:end])
	if want := fmt.Sprintf("T|%d|%d|%s", len(rows), sum.Minor(), hex.EncodeToString(hash[:])); strings.TrimSuffix(string(all[end:]), "\n") != want {
		return nil, errors.New("its trailer does not fit its rows: fetch it again, and if that does not help ask the acquirer for a new one")
	}
	return rows, nil
}

// readRow reads D|kind|number|of|channel id|amount|fee|time|masked card.
func readRow(line, currency string) (channel.BillRow, error) {
	c := strings.Split(line, "|")
	if len(c) != 9 || c[0] != "D" || kinds[c[1]] == 0 {
		return channel.BillRow{}, errors.New("it is no row of nine columns")
	}
	amount, err1 := strconv.ParseUint(c[5], 10, 62)
	fee, err2 := strconv.ParseInt(c[6], 10, 63)
	at, err3 := time.Parse(time.RFC3339, c[7])
	if err := errors.Join(err1, err2, err3); err != nil || amount == 0 {
		return channel.BillRow{}, errors.New("amount, fee or time is none")
	}
	return channel.BillRow{Kind: kinds[c[1]], Number: c[2], Of: c[3], ChannelID: c[4], Fee: money.Minor(fee), At: at,
		Money: channel.Money{Amount: money.Minor(int64(amount)), Currency: currency}}, nil //nolint:gosec // 62 bits
}
