package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
)

// ErrChannelMoved says that a channel's state is no longer the one that a move was proposed on.
var ErrChannelMoved = errors.New("the channel has moved since")

const (
	shareUnit   = 1_000_000
	trafficUnit = 1000
)

const channelColumns = `channel, bank, card, version, state, share, step, tries, since_ms, due_ms, incident, traffic`

// ChannelStates lists the state of every cell that has ever moved, by name.
func (t *Tx) ChannelStates(ctx context.Context) ([]health.Status, error) {
	var out []health.Status
	err := t.rows(ctx, "channel states", func(scan func(...any) error) error {
		s, err := scanChannel(scan)
		out = append(out, s)
		return err
	}, `SELECT `+channelColumns+` FROM channel_state ORDER BY channel, bank, card`)
	return out, err
}

func scanChannel(scan func(...any) error) (health.Status, error) {
	var s health.Status
	var share, since, due, traffic int64
	if err := scan(&s.Cell.Channel, &s.Cell.Bank, &s.Cell.Card, &s.Version, &s.State, &share, &s.Step, &s.Tries, &since, &due, &s.Incident, &traffic); err != nil {
		return s, err
	}
	s.Share, s.Traffic = float64(share)/shareUnit, float64(traffic)/trafficUnit
	s.Since, s.Due = timeOf(since), timeOf(due)
	return s, nil
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func msOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// MoveChannel keeps a move, if the cell's version is still the one before it: of many that ask for one change one is kept. A move out of service begins an incident,
// one back in full ends it. Error: [ErrChannelMoved].
func (t *Tx) MoveChannel(ctx context.Context, m health.Move) error {
	c := m.Cell
	cell := []any{c.Channel, c.Bank, c.Card}
	var have uint64
	if _, err := t.one(ctx, "channel version", `SELECT version FROM channel_state WHERE channel = ? AND bank = ? AND card = ?`, cell, &have); err != nil {
		return err
	}
	if have != m.Before || m.Version != m.Before+1 {
		return fmt.Errorf("store: %v: version %d, the move is from %d to %d: %w", c, have, m.Before, m.Version, ErrChannelMoved)
	}
	share := int64(math.Round(m.Share * shareUnit))
	traffic := int64(math.Round(m.Traffic * trafficUnit))
	if _, err := t.exec(ctx, "set channel state", `INSERT INTO channel_state (`+channelColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (channel, bank, card) DO UPDATE SET version = excluded.version, state = excluded.state, share = excluded.share, step = excluded.step, tries = excluded.tries,
			since_ms = excluded.since_ms, due_ms = excluded.due_ms, incident = excluded.incident, traffic = excluded.traffic`,
		c.Channel, c.Bank, c.Card, int64(m.Version), int(m.State), share, m.Step, m.Tries, msOf(m.Since), msOf(m.Due), int64(m.Incident), traffic); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "note channel move", `INSERT INTO channel_move (channel, bank, card, version, event, action, state, share, at_ms, by_whom, reason, payments, failed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.Channel, c.Bank, c.Card, int64(m.Version), string(m.On), string(m.Does), int(m.State), share, msOf(m.At), m.By, m.Reason, m.Evidence.Payments, m.Evidence.Failed); err != nil {
		return err
	}
	switch m.Does {
	case health.SetFault:
		_, err := t.exec(ctx, "begin channel incident", `INSERT INTO channel_incident (channel, bank, card, incident, began_ms, ended_ms, cause, note, closed_by, closed_ms)
			VALUES (?, ?, ?, ?, ?, 0, '', '', '', 0)`, c.Channel, c.Bank, c.Card, int64(m.Incident), msOf(m.At))
		return err
	case health.SetNormal:
		_, err := t.exec(ctx, "end channel incident", `UPDATE channel_incident SET ended_ms = ? WHERE channel = ? AND bank = ? AND card = ? AND ended_ms = 0`, msOf(m.At), c.Channel, c.Bank, c.Card)
		return err
	}
	return nil
}

// ChannelMove is a move as it was kept.
type ChannelMove struct {
	Cell     health.Cell
	Version  uint64
	Event    health.Event
	Action   health.Action
	State    health.State
	Share    float64
	At       time.Time
	By       string // "" the cell itself
	Reason   string
	Payments int
	Failed   int
}

// ChannelMoves lists moves, newest first, at most limit; of one channel where it is not "".
func (t *Tx) ChannelMoves(ctx context.Context, channel string, limit int) ([]ChannelMove, error) {
	var out []ChannelMove
	where, args := "", []any{}
	if channel != "" {
		where, args = ` WHERE channel = ?`, []any{channel}
	}
	err := t.rows(ctx, "channel moves", func(scan func(...any) error) error {
		var m ChannelMove
		var share, at int64
		err := scan(&m.Cell.Channel, &m.Cell.Bank, &m.Cell.Card, &m.Version, &m.Event, &m.Action, &m.State, &share, &at, &m.By, &m.Reason, &m.Payments, &m.Failed)
		m.Share, m.At = float64(share)/shareUnit, timeOf(at)
		out = append(out, m)
		return err
	}, `SELECT channel, bank, card, version, event, action, state, share, at_ms, by_whom, reason, payments, failed FROM channel_move`+where+
		` ORDER BY at_ms DESC, channel, bank, card, version DESC LIMIT ?`, append(args, limit)...)
	return out, err
}

// ChannelIncident is a fault of a cell, from the move out to the move back in full.
type ChannelIncident struct {
	Cell     health.Cell
	Incident uint64
	Began    time.Time
	Ended    time.Time // zero: it lasts
	Cause    string    // "": not closed yet
	Note     string
	ClosedBy string
	Closed   time.Time
}

// Causes of an incident. The text is stored and never given a new meaning.
var Causes = []string{"channel-down", "bank-down", "network", "our-fault", "maintenance", "false-alarm", "unknown"}

// Errors of closing an incident.
var (
	ErrIncidentLasts  = errors.New("the incident lasts: the channel is not back in full")
	ErrIncidentClosed = errors.New("the incident is closed")
	ErrCause          = errors.New("an incident is closed with one of the causes " + strings.Join(Causes, ", "))
)

// ChannelIncidents lists incidents, newest first, at most limit; only those that are not closed where open is set.
func (t *Tx) ChannelIncidents(ctx context.Context, open bool, limit int) ([]ChannelIncident, error) {
	var out []ChannelIncident
	where := ""
	if open {
		where = ` WHERE cause = ''`
	}
	err := t.rows(ctx, "channel incidents", func(scan func(...any) error) error {
		var i ChannelIncident
		var began, ended, closed int64
		err := scan(&i.Cell.Channel, &i.Cell.Bank, &i.Cell.Card, &i.Incident, &began, &ended, &i.Cause, &i.Note, &i.ClosedBy, &closed)
		i.Began, i.Ended, i.Closed = timeOf(began), timeOf(ended), timeOf(closed)
		out = append(out, i)
		return err
	}, `SELECT channel, bank, card, incident, began_ms, ended_ms, cause, note, closed_by, closed_ms FROM channel_incident`+where+` ORDER BY began_ms DESC, channel, bank, card, incident LIMIT ?`, limit)
	return out, err
}

// CloseIncident notes the cause of an incident that has ended. Errors: [ErrNotFound], [ErrIncidentLasts], [ErrIncidentClosed], [ErrCause].
func (t *Tx) CloseIncident(ctx context.Context, c health.Cell, incident uint64, cause, note, by string, at time.Time) error {
	known := false
	for _, x := range Causes {
		known = known || x == cause
	}
	if !known || strings.TrimSpace(by) == "" {
		return fmt.Errorf("store: incident %d of %v, cause %q by %q: %w", incident, c, cause, by, ErrCause)
	}
	var ended int64
	var have string
	found, err := t.one(ctx, "channel incident", `SELECT ended_ms, cause FROM channel_incident WHERE channel = ? AND bank = ? AND card = ? AND incident = ?`,
		[]any{c.Channel, c.Bank, c.Card, int64(incident)}, &ended, &have)
	switch {
	case err != nil:
		return err
	case !found:
		return fmt.Errorf("store: incident %d of %v: %w", incident, c, ErrNotFound)
	case ended == 0:
		return fmt.Errorf("store: incident %d of %v: %w", incident, c, ErrIncidentLasts)
	case have != "":
		return fmt.Errorf("store: incident %d of %v: by cause %s: %w", incident, c, have, ErrIncidentClosed)
	}
	_, err = t.exec(ctx, "close channel incident", `UPDATE channel_incident SET cause = ?, note = ?, closed_by = ?, closed_ms = ? WHERE channel = ? AND bank = ? AND card = ? AND incident = ?`,
		cause, note, by, msOf(at), c.Channel, c.Bank, c.Card, int64(incident))
	return err
}
