package epdriver

import (
	"context"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/purse"
)

// Read implements purse.Card: EF 15 and EF 17, and of EF 1A, EF 1E and GET BALANCE what is needed.
func (v *visit) Read(ctx context.Context, n purse.Need) (r purse.Reading, err error) {
	if v.public, err = v.card.ReadPublic(ctx); err != nil {
		return r, told(err)
	}
	r.Card = v.public.CardNumber
	r.ValidFrom, r.ValidUntil = date(v.public.Start), date(v.public.Expiry)
	if r.ValidUntil == 0 {
		r.ValidUntil = 1 // an EP card says until when: zeros are a card that nobody has made valid
	}
	if v.s.Management {
		if _, err = v.card.ReadManagement(ctx); err != nil {
			return r, told(err)
		}
	}
	if n.Trip {
		if v.trip, err = v.card.ReadMetroTrip(ctx); err != nil {
			return r, told(err)
		}
		r.Trip = v.tripTold()
	}
	if n.Ride {
		newest, err := v.card.ReadTripHistory(ctx, 1)
		if err != nil {
			return r, told(err)
		}
		r.Ride = v.rideTold(newest)
	}
	if n.Balance {
		if r.Balance, err = v.card.Balance(ctx); err != nil {
			return r, told(err)
		}
	}
	return r, nil
}

// date is a date as YYYYMMDD that sorts as its bytes do. What is no decimal is later than all that begins like it.
func date(raw [4]byte) int {
	n, nines := 0, false
	for i := range 8 {
		digit := int(raw[i/2] >> 4)
		if i%2 == 1 {
			digit = int(raw[i/2] & 0x0F)
		}
		nines = nines || digit > 9
		if nines {
			digit = 9
		}
		n = n*10 + digit
	}
	return n
}

func (v *visit) tripTold() purse.Trip {
	t := v.trip
	return purse.Trip{
		Locked: t.Lock != 0, Open: t.Open(), Left: t.State == ep.TripLeft, Marked: t.MarkedFare,
		Entry: v.point([2]byte{0, t.EntryLine}, station(t.EntryStation), t.EntryTerminal, t.EntryTime),
		Exit:  v.point([2]byte{0, t.ExitLine}, station(t.ExitStation), t.ExitTerminal, t.ExitTime),
	}
}

func (v *visit) rideTold(h ep.TripHistory) purse.Ride {
	return purse.Ride{
		Bus:   h.Industry == ep.IndustryBus && h.Kind == ep.HistorySingle,
		Point: v.point(h.Line, h.Station, h.Terminal, h.At),
	}
}

func (v *visit) point(line, station [2]byte, terminal [8]byte, at ep.DateTime) purse.Point {
	term := ep.TerminalOf8(terminal)
	p := purse.Point{Place: purse.Place{Line: line, Station: station}, Mark: purse.MarkOf(term[:], at[:])}
	if t, err := at.Time(v.s.Location); err == nil {
		p.At = t
	}
	return p
}

// station is how this family writes a station into EF 1A: the first two bytes, the rest zero (purse facts 2.6).
func station(raw [8]byte) [2]byte { return [2]byte(raw[:2]) }
