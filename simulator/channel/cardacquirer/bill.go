package cardacquirer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// FileAfter is when a day's file is there, counted from its midnight: at six the next morning.
const FileAfter = 30 * time.Hour

// FeePerMyriad is what the acquirer takes of a payment, in hundredths of a per cent, rounded half up to a minor unit.
const FeePerMyriad = 60

// Open makes the settlement file of a day. What was voided or reversed is not in it.
func (s *Sim) Open(_ context.Context, day string) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start, err := time.ParseInLocation(time.DateOnly, day, s.c.Zone)
	if err != nil || s.c.Clock.Now().Before(start.Add(FileAfter)) {
		return nil, channel.ErrNoBillYet
	}
	var b strings.Builder
	fmt.Fprintf(&b, "H|1|%s|%s|%s\n", s.c.Merchant, day, s.c.Currency)
	rows, sum := 0, int64(0)
	for _, t := range s.order {
		if t.state != "00" || t.paidAt.IsZero() || s.day(t.paidAt) != day {
			continue
		}
		kind, of, amount, fee := "PAY", "", t.paid, (t.paid*FeePerMyriad+5000)/10000
		if t.kind == "refund" {
			kind, of, amount, fee = "REF", t.orig.ask.Fields[fNumber], t.amount, 0
			sum -= amount
		} else {
			sum += amount
		}
		rows++
		fmt.Fprintf(&b, "D|%s|%s|%s|%s-%s|%d|%d|%s|%s\n", kind, t.ask.Fields[fNumber], of, t.ask.Fields[fRRN], t.answer.Fields[fAuth], amount, fee,
			t.paidAt.In(s.c.Zone).Format(time.RFC3339), mask(t.card.Number))
	}
	hash := sha256.Sum256([]byte(b.String()))
	fmt.Fprintf(&b, "T|%d|%d|%s\n", rows, sum, hex.EncodeToString(hash[:]))
	return io.NopCloser(strings.NewReader(b.String())), nil
}

func mask(number string) string {
	if len(number) < 12 {
		return "****"
	}
	return number[:6] + strings.Repeat("*", len(number)-10) + number[len(number)-4:]
}
