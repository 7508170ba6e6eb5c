package edge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatCardAndJournalDoAtOnce(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	for _, c := range []struct {
		name     string
		commands []span
		both     int
	}{
		{"one after the other", []span{{at(0), at(10)}, {at(30), at(40)}}, 0},
		{"within", []span{{at(12), at(15)}, {at(16), at(18)}}, 5},
		{"longer than the commit", []span{{at(11), at(29)}}, 9},
		{"begun before", []span{{at(5), at(14)}}, 4},
		{"around", []span{{at(5), at(29)}}, 10},
	} {
		w := watch{commands: c.commands, intents: []span{{at(10), at(20)}}}
		require.Equal(t, time.Duration(c.both)*time.Millisecond, w.both(), c.name)
	}
	w := watch{commands: []span{{at(0), at(1)}}}
	w.begin(nil)
	require.Zero(t, w.both(), "a visit begins with nothing")
}
