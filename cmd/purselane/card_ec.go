package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/tlv"
	"github.com/purselane/purselane/card/trace"
	"github.com/purselane/purselane/internal/money"
)

// acceptedEC are the electronic cash applications: all that begin alike.
var acceptedEC = []ec.Accepted{{AID: ec.AIDDebit[:5]}}

// selectEC selects the card's electronic cash, for a card that has no purse.
func (c cardTool) selectEC(ctx context.Context, t apdu.Transmitter, noPurse error) (*ec.Card, error) {
	card, err := ec.Select(ctx, t, acceptedEC)
	switch {
	case errors.Is(err, apdu.ErrNotSent), errors.Is(err, apdu.ErrNoAnswer):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w; and no electronic cash: %w", noPurse, err)
	case c.Trace != "" && !c.Reveal:
		return nil, errCashTrace
	}
	return card, nil
}

// noPurse reports that a card has no EP purse, so that it may be of another family.
func noPurse(err error) bool { return errors.Is(err, ep.ErrNoPurse) }

// readEC is what an electronic cash card says of itself to anybody.
type readEC struct {
	Number     string        `json:"card_number,omitempty"`
	Sequence   string        `json:"sequence,omitempty"`
	Expiry     string        `json:"expiry,omitempty"`
	Balance    *money.Amount `json:"balance,omitempty"`
	Limit      *money.Amount `json:"balance_limit,omitempty"`
	Single     *money.Amount `json:"single_limit,omitempty"`
	ATC        *uint16       `json:"counter,omitempty"`
	LastOnline *uint16       `json:"last_online_counter,omitempty"`
	Trips      bool          `json:"transit"` // the card has the transit extension
	LogRecords int           `json:"log_records"`
}

// ecSays reports that an error is what the card answered.
func ecSays(err error) bool {
	var status *ec.StatusError
	return errors.As(err, &status) || errors.Is(err, ec.ErrMalformed)
}

// noteEC is note for a card of electronic cash.
func (u unread) noteEC(part string, err error) error {
	if err == nil || !ecSays(err) {
		return err
	}
	u[part] = err.Error()
	return nil
}

// readCash reads what costs the card nothing: it is not asked for a debit, so its counter stays.
func (c *CardReadCmd) readCash(ctx context.Context, card *ec.Card) (cardRead, error) {
	r := cardRead{AID: digits(card.FCI.AID), EC: &readEC{}, Unread: unread{}}
	e := r.EC
	_, e.Trips = card.FCI.Rest[ec.TagTransitSupport]
	if entry := card.FCI.Rest[ec.TagLogEntry]; len(entry) == 2 {
		e.LogRecords = int(entry[1])
	}
	for _, a := range []struct {
		name string
		tag  tlv.Tag
		to   **money.Amount
	}{{"balance", ec.TagBalance, &e.Balance}, {"balance limit", ec.TagBalanceLimit, &e.Limit}, {"limit of one tap", ec.TagSingleLimit, &e.Single}} {
		raw, err := card.GetData(ctx, a.tag)
		var amount money.Amount
		if err == nil {
			amount, err = ec.ParseAmount(raw)
		}
		if err := r.Unread.noteEC(a.name, err); err != nil {
			return r, err
		}
		if err == nil {
			*a.to = &amount
		}
	}
	for _, a := range []struct {
		name string
		tag  tlv.Tag
		to   **uint16
	}{{"counter", ec.TagATC, &e.ATC}, {"counter of the last online session", ec.TagLastOnlineATC, &e.LastOnline}} {
		raw, err := card.GetData(ctx, a.tag)
		if err == nil && len(raw) != 2 {
			err = fmt.Errorf("%w: %d bytes", ec.ErrMalformed, len(raw))
		}
		if err := r.Unread.noteEC(a.name, err); err != nil {
			return r, err
		}
		if err == nil {
			n := binary.BigEndian.Uint16(raw)
			*a.to = &n
		}
	}
	o, err := cashRecord(ctx, card)
	if err := r.Unread.noteEC("card number", err); err != nil {
		return r, err
	}
	if pan, err := ec.ParsePAN(o[ec.TagPAN]); err == nil {
		e.Number, e.Sequence, e.Expiry = pan.String(), digits(o[ec.TagPSN]), digits(o[ec.TagExpiry])
		if c.Reveal {
			e.Number = pan.Reveal()
		}
	}
	return r, nil
}

// Where a card's number is looked for: records of the files that are for the reader, from the first on.
const (
	cashFiles   = 3
	cashRecords = 4
)

// cashRecord is the record with the card's number. No record is the last one of a tap, since none was begun.
func cashRecord(ctx context.Context, card *ec.Card) (ec.Objects, error) {
	for sfi := byte(1); sfi <= cashFiles; sfi++ {
		for n := byte(1); n <= cashRecords; n++ {
			rec, err := card.ReadRecord(ctx, ec.Place{SFI: sfi, Number: n})
			if ecSays(err) {
				break
			}
			if err != nil {
				return nil, err
			}
			o := ec.Objects{}
			if o.Add(rec.Raw) == nil && o[ec.TagPAN] != nil {
				return o, nil
			}
		}
	}
	return ec.Objects{}, fmt.Errorf("%w: no record holds it", ec.ErrMalformed)
}

func (e readEC) print(p *printer) {
	p.line("electronic cash card %s, sequence %s, valid until %s", e.Number, e.Sequence, e.Expiry)
	show := func(name string, a *money.Amount) {
		if a != nil {
			p.line("%s %v", name, *a)
		}
	}
	show("balance", e.Balance)
	show("balance limit", e.Limit)
	show("limit of one tap", e.Single)
	if e.ATC != nil {
		p.line("counter %d", *e.ATC)
	}
	if e.LastOnline != nil {
		p.line("last online at counter %d", *e.LastOnline)
	}
	p.line("transit extension %t, log of %d records", e.Trips, e.LogRecords)
}

// ecLogRecord is one record of the log, as far as the card's own list of its parts has names here.
type ecLogRecord struct {
	Counter  uint16       `json:"counter"`
	Amount   money.Amount `json:"amount"`
	Date     string       `json:"date,omitempty"`
	Time     string       `json:"time,omitempty"`
	Type     string       `json:"type,omitempty"`
	Merchant string       `json:"merchant,omitempty"` // as bytes
	Rest     string       `json:"rest,omitempty"`     // all other parts
}

// ecLoadRecord is one of the load log.
type ecLoadRecord struct {
	Counter uint16       `json:"counter"`
	Before  money.Amount `json:"before"`
	After   money.Amount `json:"after"`
	Date    string       `json:"date"`
	Time    string       `json:"time"`
}

// ecHistory is both logs of an electronic cash card.
type ecHistory struct {
	Number string         `json:"card_number"`
	Taps   []ecLogRecord  `json:"records"`
	Loads  []ecLoadRecord `json:"loads"`
}

// tagLogFormat names the parts of a log record.
const tagLogFormat tlv.Tag = 0x9F4F

func (c *CardHistoryCmd) readCash(ctx context.Context, card *ec.Card) (ecHistory, error) {
	h := ecHistory{Taps: []ecLogRecord{}, Loads: []ecLoadRecord{}}
	o, err := cashRecord(ctx, card)
	if err != nil && !ecSays(err) {
		return h, err
	}
	if pan, err := ec.ParsePAN(o[ec.TagPAN]); err == nil {
		h.Number = pan.String()
		if c.Reveal {
			h.Number = pan.Reveal()
		}
	}
	if entry := card.FCI.Rest[ec.TagLogEntry]; len(entry) == 2 {
		raw, err := card.GetData(ctx, tagLogFormat)
		if err != nil {
			return h, fmt.Errorf("log: %w", err)
		}
		format, err := ec.ParseDOL(raw)
		if err != nil {
			return h, fmt.Errorf("log: %w", err)
		}
		for n := 1; n <= min(int(entry[1]), maxRecords); n++ {
			r, err := card.ReadRecord(ctx, ec.Place{SFI: entry[0], Number: byte(n)})
			if errors.Is(err, ec.ErrNotFound) {
				break
			}
			if err != nil {
				return h, fmt.Errorf("log: %w", err)
			}
			l, err := parseECLog(format, r.Raw)
			if err != nil {
				return h, err
			}
			h.Taps = append(h.Taps, l)
		}
	}
	entry := card.FCI.Rest[ec.TagLoadLogEntry]
	for n := 1; len(entry) == 2 && n <= min(int(entry[1]), maxRecords); n++ {
		r, err := card.ReadRecord(ctx, ec.Place{SFI: entry[0], Number: byte(n)})
		if errors.Is(err, ec.ErrNotFound) {
			break
		}
		if err != nil {
			return h, fmt.Errorf("load log: %w", err)
		}
		l, err := ec.ParseLoadRecord(r.Raw)
		if err != nil {
			return h, err
		}
		h.Loads = append(h.Loads, ecLoadRecord{l.ATC, l.Before, l.After, digits(l.Date[:]), digits(l.Time[:])})
	}
	return h, nil
}

// parseECLog reads a log record by the card's own list of its parts.
func parseECLog(format ec.DOL, raw []byte) (l ecLogRecord, err error) {
	if len(raw) != format.Length() {
		return l, fmt.Errorf("log: %w: a record of %d bytes, the card's list has %d", ec.ErrMalformed, len(raw), format.Length())
	}
	for _, a := range format {
		part := raw[:a.Length]
		raw = raw[a.Length:]
		switch {
		case a.Tag == ec.TagAmount:
			if l.Amount, err = ec.ParseAmount(part); err != nil {
				return l, fmt.Errorf("log: %w", err)
			}
		case a.Tag == ec.TagATC && len(part) == 2:
			l.Counter = binary.BigEndian.Uint16(part)
		case a.Tag == ec.TagDate:
			l.Date = digits(part)
		case a.Tag == ec.TagTime:
			l.Time = digits(part)
		case a.Tag == ec.TagType:
			l.Type = digits(part)
		case a.Tag == ec.TagMerchantName:
			l.Merchant = digits(part)
		default:
			l.Rest += hex.EncodeToString(part)
		}
	}
	return l, nil
}

func (h ecHistory) print(p *printer) {
	p.line("electronic cash card %s: %d taps in its log, newest first", h.Number, len(h.Taps))
	for _, l := range h.Taps {
		p.line("  %5d  %s %-6s  %9v  type %s", l.Counter, l.Date, l.Time, l.Amount, l.Type)
	}
	p.line("%d loads in its load log, newest first", len(h.Loads))
	for _, l := range h.Loads {
		p.line("  %5d  %s %s  %9v -> %v", l.Counter, l.Date, l.Time, l.Before, l.After)
	}
}

// errCashTrace is of a trace that would have a bank's card number in it, in more places than can be found: certificates hold it too.
var errCashTrace = errors.New("--trace: the number of an electronic cash card cannot be hidden in a trace, so none is written: give --reveal, and keep the file as you keep card numbers")

// hasCash reports that an electronic cash application was selected.
func hasCash(t trace.Transcript) bool {
	for _, s := range t.Sessions {
		for _, x := range s {
			raw, _ := x.Command.Raw()
			if c, err := apdu.ParseCommand(raw); err == nil && c.INS == 0xA4 && bytes.HasPrefix(c.Data, ec.AIDDebit[:5]) {
				return true
			}
		}
	}
	return false
}
