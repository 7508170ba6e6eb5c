package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// CutOff is when an acquirer's clearing day ends.
type CutOff struct {
	Acquirer ids.AcquirerID
	TimeZone string // IANA name
	At       calendar.CutOff
}

// PutCutOff notes when an acquirer's clearing days end from now on: what has arrived keeps the day that it arrived in. A zero CutOff is
// midnight in the scheme's time zone.
func (t *Tx) PutCutOff(ctx context.Context, c CutOff) error {
	if c.TimeZone == "" {
		_, err := t.exec(ctx, "drop cut-off", `DELETE FROM acquirer_cut_off WHERE acquirer = ?`, string(c.Acquirer))
		return err
	}
	if _, err := zone(c.TimeZone); err != nil {
		return fmt.Errorf("cut-off of %s: %w", c.Acquirer, err)
	}
	_, err := t.exec(ctx, "put cut-off", `INSERT INTO acquirer_cut_off (acquirer, time_zone, cut_off) VALUES (?, ?, ?)
		ON CONFLICT (acquirer) DO UPDATE SET time_zone = excluded.time_zone, cut_off = excluded.cut_off`, string(c.Acquirer), c.TimeZone, c.At.String())
	return err
}

// ArrivalDay is the clearing day of a terminal's records that arrive at a moment, by the cut-off of the acquirer that it works for, else by
// the date in the scheme's time zone. What arrives for a day that is closed belongs to the next one that is not.
func (t *Tx) ArrivalDay(ctx context.Context, terminal ids.TerminalID, at time.Time, scheme *time.Location) (string, error) {
	var name, cut string
	found, err := t.one(ctx, "cut-off of terminal", `SELECT c.time_zone, c.cut_off FROM terminal x JOIN merchant m ON m.id = x.merchant
		JOIN acquirer_cut_off c ON c.acquirer = m.acquirer WHERE x.id = ?`, []any{string(terminal)}, &name, &cut)
	if err != nil {
		return "", err
	}
	if !found {
		return t.ClearingDay(ctx, at.In(scheme))
	}
	party := calendar.Party{ID: string(terminal)}
	if party.CutOff, err = calendar.ParseCutOff(cut); err != nil {
		return "", err
	}
	if party.Zone, err = zone(name); err != nil {
		return "", err
	}
	day, err := party.DayOf(at)
	if err != nil {
		return "", err
	}
	return t.openDay(ctx, string(day))
}

var zones sync.Map // name to *time.Location: reading one costs a file, and records come by the thousand

func zone(name string) (*time.Location, error) {
	if z, known := zones.Load(name); known {
		return z.(*time.Location), nil
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w", name, err)
	}
	zones.Store(name, z)
	return z, nil
}
