package api

import (
	"crypto/ed25519"
	"errors"
	"io"
	"time"

	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/uplink/wire"
)

// Device is a running terminal as the API needs it. All fields but Key are required.
type Device struct {
	*edge.Terminal
	ID      ids.TerminalID
	Program string // name and version
	Modes   []string
	Profile *firmwareconfig.Profile
	Clock   clock.Clock
	Quality func() (wire.ClockState, time.Duration) // as edge.Config.ClockState
	Key     ed25519.PrivateKey                      // signs an export; nil: there can be none
}

var _ Terminal = (*Device)(nil)

var clockStates = map[wire.ClockState]string{wire.ClockState_CLOCK_GOOD: "good", wire.ClockState_CLOCK_HOLDOVER: "holdover", wire.ClockState_CLOCK_BAD: "bad"}

// Health implements Terminal.
func (d *Device) Health() (Health, error) {
	now := d.Clock.Now()
	h := Health{Version: Version, Terminal: d.ID, Program: d.Program, At: now.UTC(), Profile: ProfileHealth{Version: d.Profile.Version, Scheme: d.Profile.Scheme}}
	if until := d.Profile.ValidUntil; !until.IsZero() {
		h.Profile.ValidUntil = &until
	}
	said, bound := d.Quality()
	h.Clock = ClockHealth{State: clockStates[d.JudgeClock(now, said)], ErrorMS: bound.Milliseconds()}
	for i, l := range d.Lanes() {
		x := LaneHealth{Lane: i, Mode: d.Modes[i], Reader: l.Reader, State: string(l.State), Since: l.Since.UTC()}
		if l.Err != nil {
			x.Error = l.Err.Error()
		}
		h.Lanes = append(h.Lanes, x)
	}
	s := d.Stats()
	h.InUse, h.Reason = s.OutOfUse == "", s.OutOfUse
	value, err := d.Exposure()
	if err != nil {
		return h, err
	}
	h.Journal = JournalHealth{Records: s.Journal.Backlog, OpenIntents: s.Journal.OpenIntents, Value: value.String(), Bytes: s.Journal.FileBytes, MaxBytes: s.Journal.MaxBytes}
	if !s.Journal.Oldest.IsZero() {
		at := s.Journal.Oldest.UTC()
		h.Journal.Oldest = &at
	}
	if s.Uplink != nil {
		h.Uplink = &UplinkHealth{State: s.Uplink.State.String(), InFlight: s.Uplink.InFlight, Backlog: s.Uplink.Backlog, Resends: s.Uplink.Resends}
	}
	return h, nil
}

// Export implements Terminal.
func (d *Device) Export(out io.Writer, first uint64) (uint64, error) {
	if d.Key == nil {
		return 0, errNoKey
	}
	j := d.Journal()
	if first == 0 {
		first = j.AckedSeq() + 1
	}
	return edge.Export(out, j, d.ID, d.Key, first, d.Clock.Now())
}

// errNoKey says that nothing could be signed.
var errNoKey = errors.New("this terminal has no device key: an export could not be signed")
