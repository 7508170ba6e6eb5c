package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/money"
)

var (
	// tripStates are the states of EF 1A byte 14 (purse facts 2.6).
	tripStates = map[byte]string{ep.TripInitial: "no trip", ep.TripEntered: "entered", ep.TripLeft: "left", ep.TripEntryCorrected: "entry corrected", ep.TripExitCorrected: "exit corrected"}
	// historyKinds are the kinds of EF 1E byte 0 (purse facts 2.7).
	historyKinds = map[byte]string{
		1: "EC in", 2: "EC out", 3: "in", 4: "out", 5: "EC single", 6: "single", 7: "EC correction", 8: "correction", 9: "EC load", 10: "load",
	}
	// industries are those of EF 1E byte 9 (purse facts 2.7).
	industries = map[byte]string{
		1: "metro", 2: "bus", 3: "water", 4: "taxi", 5: "rental", 6: "bicycle", 7: "parking", 8: "coach", 9: "ferry", 10: "high-speed rail", 11: "air", 12: "highway", 13: "suburban rail",
	}
)

// tripEnd is one end of a trip. Station, line, operator and stop are the city's own bytes.
type tripEnd struct {
	City        string `json:"city"`
	Institution string `json:"institution"`
	Station     string `json:"station,omitempty"`
	Operator    string `json:"operator,omitempty"`
	Line        string `json:"line"`
	Stop        string `json:"stop,omitempty"`
	Vehicle     string `json:"vehicle,omitempty"`
	Terminal    string `json:"terminal"`
	At          string `json:"at"`
}

type metroState struct {
	State       string       `json:"state"`
	Flag        string       `json:"flag"`
	Lock        string       `json:"lock"`
	Serial      string       `json:"serial"`
	Entry       tripEnd      `json:"entry"`
	Exit        tripEnd      `json:"exit"`
	MarkedFare  money.Amount `json:"marked_fare"`
	EntryAmount money.Amount `json:"entry_amount"`
	Balance     money.Amount `json:"balance_after_entry"`
	ExitAmount  money.Amount `json:"exit_amount"`
	Reserved    string       `json:"reserved"`
}

type busState struct {
	State     string       `json:"state"`
	Flag      string       `json:"flag"`
	Lock      string       `json:"lock"`
	Serial    string       `json:"serial"`
	Boarding  tripEnd      `json:"boarding"`
	Alighting tripEnd      `json:"alighting"`
	Marked    money.Amount `json:"marked_amount"`
	Direction string       `json:"direction"`
	Amount    money.Amount `json:"amount"`
	Distance  uint16       `json:"distance"`
	Reserved  string       `json:"reserved"`
}

// readStates reads EF 1A. Records that the card does not have, or of another form, are noted.
func readStates(ctx context.Context, card *ep.Card, u unread) (*metroState, *busState, error) {
	var metro *metroState
	var bus *busState
	m, err := card.ReadMetroTrip(ctx)
	if err := u.note("EF 1A record 1", err); err != nil {
		return nil, nil, err
	}
	if err == nil {
		metro = &metroState{
			State: named(tripStates, m.State), Flag: digits([]byte{m.Flag}), Lock: digits([]byte{m.Lock}), Serial: digits(m.Serial[:]),
			Entry: tripEnd{City: digits(m.EntryCity[:]), Institution: digits(m.EntryInstitution[:]), Station: digits(m.EntryStation[:]), Line: digits([]byte{m.EntryLine}),
				Terminal: digits(m.EntryTerminal[:]), At: purseTime(m.EntryTime)},
			Exit: tripEnd{City: digits(m.ExitCity[:]), Institution: digits(m.ExitInstitution[:]), Station: digits(m.ExitStation[:]), Line: digits([]byte{m.ExitLine}),
				Terminal: digits(m.ExitTerminal[:]), At: purseTime(m.ExitTime)},
			MarkedFare: m.MarkedFare, EntryAmount: m.EntryAmount, Balance: m.Balance, ExitAmount: m.ExitAmount, Reserved: digits(m.Reserved[:]),
		}
	}
	b, err := card.ReadBusTrip(ctx)
	if err := u.note("EF 1A record 2", err); err != nil {
		return nil, nil, err
	}
	if err == nil {
		bus = &busState{
			State: named(tripStates, b.State), Flag: digits([]byte{b.Flag}), Lock: digits([]byte{b.Lock}), Serial: digits(b.Serial[:]),
			Boarding: busEnd(b.Boarding), Alighting: busEnd(b.Alighting), Marked: b.Marked, Direction: digits([]byte{b.Direction}),
			Amount: b.Amount, Distance: b.Distance, Reserved: digits(b.Reserved[:]),
		}
	}
	return metro, bus, nil
}

func busEnd(p ep.BusPlace) tripEnd {
	return tripEnd{City: digits(p.City[:]), Institution: digits(p.Institution[:]), Operator: digits(p.Operator[:]), Line: digits(p.Line[:]), Stop: digits([]byte{p.Stop}),
		Vehicle: digits(p.Vehicle[:]), Terminal: digits(p.Terminal[:]), At: purseTime(p.At)}
}

func printStates(p *printer, metro *metroState, bus *busState) {
	if m := metro; m != nil {
		p.line("metro trip: %s, flag %s, lock %s, serial %s", m.State, m.Flag, m.Lock, m.Serial)
		if m.State != named(tripStates, ep.TripInitial) {
			p.line("  entry %s  station %s line %s terminal %s city %s institution %s", m.Entry.At, m.Entry.Station, m.Entry.Line, m.Entry.Terminal, m.Entry.City, m.Entry.Institution)
			p.line("  exit  %s  station %s line %s terminal %s city %s institution %s", m.Exit.At, m.Exit.Station, m.Exit.Line, m.Exit.Terminal, m.Exit.City, m.Exit.Institution)
			p.line("  marked fare %v, entry %v, balance after it %v, exit %v, reserved %s", m.MarkedFare, m.EntryAmount, m.Balance, m.ExitAmount, m.Reserved)
		}
	}
	if b := bus; b != nil {
		p.line("bus trip: %s, flag %s, lock %s, serial %s", b.State, b.Flag, b.Lock, b.Serial)
		if b.State != named(tripStates, ep.TripInitial) {
			for i, e := range []tripEnd{b.Boarding, b.Alighting} {
				p.line("  %-3s %s  operator %s line %s stop %s vehicle %s terminal %s city %s institution %s", [...]string{"on", "off"}[i], e.At, e.Operator, e.Line, e.Stop, e.Vehicle, e.Terminal, e.City, e.Institution)
			}
			p.line("  marked %v, amount %v, distance %d, direction %s, reserved %s", b.Marked, b.Amount, b.Distance, b.Direction, b.Reserved)
		}
	}
}

// CardTripsCmd is `purselane card trips`.
type CardTripsCmd struct{ cardTool }

type cardTrips struct {
	Number  string      `json:"card_number"`
	Metro   *metroState `json:"metro_trip,omitempty"`
	Bus     *busState   `json:"bus_trip,omitempty"`
	History []tripTaken `json:"history"` // newest first
	Unread  unread      `json:"unread,omitempty"`
}

type tripTaken struct {
	Kind        string       `json:"kind"`
	Industry    string       `json:"industry"`
	Terminal    string       `json:"terminal"`
	Line        string       `json:"line"`
	Station     string       `json:"station"`
	Operator    string       `json:"operator"`
	Amount      money.Amount `json:"amount"`
	Balance     money.Amount `json:"balance_after"`
	At          string       `json:"at"`
	City        string       `json:"city"`
	Institution string       `json:"institution"`
	Reserved    string       `json:"reserved"`
}

// Run prints the trips that the card remembers.
func (c *CardTripsCmd) Run(ctx context.Context, k *kong.Kong) error {
	r := cardTrips{History: []tripTaken{}, Unread: unread{}}
	if err := c.meet(ctx, func(ctx context.Context, t apdu.Transmitter) error {
		card, _, err := selectPurse(ctx, t)
		if err != nil {
			return err
		}
		public, err := card.ReadPublic(ctx)
		if err != nil {
			return err
		}
		r.Number = shownNumber(public.CardNumber, c.Reveal)
		if r.Metro, r.Bus, err = readStates(ctx, card, r.Unread); err != nil {
			return err
		}
		return r.Unread.note("EF 1E", r.history(ctx, card))
	}); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(k.Stdout).Encode(r)
	}
	p := &printer{out: k.Stdout}
	p.line("card %s", r.Number)
	printStates(p, r.Metro, r.Bus)
	p.line("%d trips in its history, newest first", len(r.History))
	for _, h := range r.History {
		p.line("  %s  %-14s %-8s %8v -> %-8v line %s station %s operator %s terminal %s city %s institution %s reserved %s", h.At, h.Kind, h.Industry, h.Amount, h.Balance,
			h.Line, h.Station, h.Operator, h.Terminal, h.City, h.Institution, h.Reserved)
	}
	r.Unread.print(p)
	return p.err
}

// history reads EF 1E up to the first record that was never written or is not there.
func (r *cardTrips) history(ctx context.Context, card *ep.Card) error {
	for n := byte(1); n <= maxRecords; n++ {
		h, err := card.ReadTripHistory(ctx, n)
		if errors.Is(err, ep.ErrNotFound) && n > 1 {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Empty() {
			return nil
		}
		r.History = append(r.History, tripTaken{
			Kind: named(historyKinds, h.Kind), Industry: named(industries, h.Industry), Terminal: digits(h.Terminal[:]), Line: digits(h.Line[:]), Station: digits(h.Station[:]),
			Operator: digits(h.Operator[:]), Amount: h.Amount, Balance: h.Balance, At: purseTime(h.At), City: digits(h.City[:]), Institution: digits(h.Institution[:]),
			Reserved: digits(append([]byte{h.Reserved1}, h.Reserved2[:]...)),
		})
	}
	return nil
}
