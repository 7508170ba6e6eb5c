package code

import (
	"errors"
	"fmt"
	"strings"
)

// Len is the number of digits of a context code.
const Len = 20

// Widths of the five parts, in their order.
const (
	productLen = 4
	modeLen    = 2
	actionLen  = 2
	channelLen = 6 // three for the company, three for the way of paying there
	numberLen  = 6
)

// Product says what is sold. Its numbers are the scheme's own, 1 to 9999; [Registry] knows them.
type Product int

// Mode says how the money meets what is sold. The number is never given a new meaning.
type Mode int

// Modes.
const (
	Instant  Mode = 1 // the payee has it as soon as it is paid
	Escrow   Mode = 2 // it is held until the payer confirms, or for a time
	Deferred Mode = 3 // it is held until somebody claims it, and goes back if nobody does
	Reserved Mode = 4 // it is reserved first, and taken later, in part or as a whole
)

// Action says what is done with money. The number is never given a new meaning.
type Action int

// Actions.
const (
	Pay       Action = 1
	Transfer  Action = 2
	TopUp     Action = 3
	Withdraw  Action = 4
	RedPacket Action = 5
	Refund    Action = 11
	Void      Action = 12
	Payout    Action = 13 // a refund that goes out as a pay-out
	Increment Action = 21
	Capture   Action = 22
	Release   Action = 23
)

var modes = map[Mode]string{Instant: "instant", Escrow: "escrow", Deferred: "deferred", Reserved: "reserved"}

var actions = map[Action]string{Pay: "pay", Transfer: "transfer", TopUp: "top-up", Withdraw: "withdraw", RedPacket: "red-packet", Refund: "refund", Void: "void",
	Payout: "payout", Increment: "increment", Capture: "capture", Release: "release"}

func (m Mode) String() string   { return nameOf(modes, m) }
func (a Action) String() string { return nameOf(actions, a) }

func nameOf[K ~int](names map[K]string, k K) string {
	if n, known := names[k]; known {
		return n
	}
	return fmt.Sprintf("code %d", int(k))
}

// ParseMode and ParseAction read the names that String gives. Error: [ErrUnknown].
func ParseMode(s string) (Mode, error)     { return parse(modes, "mode", s) }
func ParseAction(s string) (Action, error) { return parse(actions, "action", s) }

func parse[K ~int](names map[K]string, what, s string) (K, error) {
	for k, n := range names {
		if n == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("%s %q: %w", what, s, ErrUnknown)
}

// Channel is a way of paying at a company: company × 1000 + way. Zero: no channel is chosen yet.
type Channel int

// ChannelOf joins the two levels: which company is reached, and which way of paying is used there. Both are 1 to 999.
func ChannelOf(company Company, way Way) Channel { return Channel(int(company)*1000 + int(way)) }

// Company and Way are the levels of the channel.
func (c Channel) Company() Company { return Company(c / 1000) }
func (c Channel) Way() Way         { return Way(c % 1000) }

// Company is who is reached over a channel: its numbers are the scheme's own, 1 to 999.
type Company int

// Way is a way of paying at a company. The number is never given a new meaning.
type Way int

// Number is one of our accounts at providers of channels, 1 to 999999. One account may serve many channels and one channel may be served by many
// accounts: neither follows from the other. Zero: none is chosen yet.
type Number int

// Context is a context code in its parts.
type Context struct {
	Product Product
	Mode    Mode
	Action  Action
	Channel Channel
	Number  Number
}

// Errors.
var (
	// ErrForm: it is no context code at all.
	ErrForm = errors.New("not a context code: want 20 digits")
	// ErrUnknown: a part of it is in no table.
	ErrUnknown = errors.New("unknown code")
)

// String writes the 20 digits. A part that does not fit its width is written as nines: such a context is in no registry.
func (c Context) String() string {
	var b strings.Builder
	for _, p := range []struct{ v, width int }{{int(c.Product), productLen}, {int(c.Mode), modeLen}, {int(c.Action), actionLen}, {int(c.Channel), channelLen}, {int(c.Number), numberLen}} {
		digits := fmt.Sprintf("%0*d", p.width, p.v)
		if p.v < 0 || len(digits) != p.width {
			digits = strings.Repeat("9", p.width)
		}
		b.WriteString(digits)
	}
	return b.String()
}

// Parse reads 20 digits. It does not ask whether the codes are known: see [Registry.Check]. Error: [ErrForm].
func Parse(s string) (Context, error) {
	if len(s) != Len || strings.Trim(s, "0123456789") != "" {
		return Context{}, fmt.Errorf("%q: %w", s, ErrForm)
	}
	next := func(width int) (n int) {
		for _, d := range []byte(s[:width]) {
			n = n*10 + int(d-'0')
		}
		s = s[width:]
		return n
	}
	return Context{Product: Product(next(productLen)), Mode: Mode(next(modeLen)), Action: Action(next(actionLen)), Channel: Channel(next(channelLen)), Number: Number(next(numberLen))}, nil
}

// With is c for another action.
func (c Context) With(a Action) Context { c.Action = a; return c }

// Over is c over a channel and an account.
func (c Context) Over(ch Channel, n Number) Context { c.Channel, c.Number = ch, n; return c }
