package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/store/reference"
)

var errDied = errors.New("the backend died")

// story is two histories and one way in which they arrive.
type story struct {
	lived []history
	all   []action
}

// newStory tells the story of a shape under a number of its own, so that it can be told again and again to one database.
func newStory(shape, n int) story {
	var s story
	r := chance(*seed, uint64(shape))
	var lists [][]action
	for i := range 2 {
		h := newHistory(*seed, 2*shape+i, 2*n+i)
		s.lived = append(s.lived, h)
		lists = append(lists, arrive(h, r))
	}
	s.all = weave(lists, true, r)
	return s
}

// end is the end state of a model that is told the story.
func (s story) end(t testing.TB, m *reference.Model) reference.State {
	for _, h := range s.lived {
		tellAll(m, h)
	}
	want, err := m.State()
	require.NoError(t, err)
	return want
}

// begin opens a backend on a database.
func (s suite) begin(t testing.TB, name string, fault func(string) error) *player {
	return &player{ctx: context.Background(), store: open(t, name, fault), groups: s.groups, now: morningOf(days[0])}
}

// points counts the moments at which a backend can die that is told a story: before and after each commit.
func (s suite) points(t testing.TB, name string, of story) int {
	n := 0
	p := s.begin(t, name, func(string) error { n++; return nil })
	defer p.store.Close()
	require.NoError(t, p.play(of.all))
	return n
}

// crash lets the backend die at every commit there is of some stories, once before it and once after it, opens the database again and goes
// on: by turns with what got no answer, and with everything from the start, as terminals do that have lost all receipts.
func (s suite) crash(t *testing.T) {
	name, told, died := s.fresh(t), reference.New(look), 0
	for i, shape := range []int{1, 44, 58} {
		first := newStory(shape, 1000*i)
		first.end(t, told)
		for at := range s.points(t, name, first) {
			of := newStory(shape, 1000*i+at+1)
			s.dies(t, name, of, at+1)
			of.end(t, told)
			died++
		}
	}
	s.ends(t, name, told)
	require.Greater(t, died, 60)
	t.Logf("the backend died %d times", died)
}

// ends wants a database to hold all that a model was told.
func (s suite) ends(t testing.TB, name string, told *reference.Model) {
	want, err := told.State()
	require.NoError(t, err)
	db := open(t, name, nil)
	defer db.Close()
	require.Empty(t, differs(db, want))
}

func (s suite) dies(t testing.TB, name string, of story, at int) {
	count, point := 0, ""
	p := s.begin(t, name, func(where string) error {
		if count++; count == at {
			point = where
			return fmt.Errorf("%w %s", errDied, where)
		}
		return nil
	})
	defer func() { p.store.Close() }()
	restart := func() {
		require.NoError(t, p.store.Close())
		p.store = open(t, name, nil)
	}
	left := of.all
	for len(left) > 0 {
		if err := left[0].do(p); err != nil {
			require.ErrorIs(t, err, errDied)
			restart()
			if at%2 == 0 {
				left = of.all
			}
			continue
		}
		left = left[1:]
	}
	if err := p.drain(); err != nil {
		require.ErrorIs(t, err, errDied)
		restart()
		require.NoError(t, p.play(of.all))
	}
	require.NotEmpty(t, point, "point %d was never reached", at)
	p.is(t, of, fmt.Sprintf("died at point %d, %s", at, point))
}

// is wants the cards of a story to stand as they should.
func (p *player) is(t testing.TB, of story, when string) {
	want := of.end(t, reference.New(look))
	have, err := readState(p.ctx, p.store, want)
	require.NoError(t, err)
	require.Empty(t, cardsDiffer(want, have), when)
}

// victim names to a child process the database it is to die on, the story's number, and the point.
const victim = "PURSELANE_STORETEST_VICTIM"

// killed is the story that processes are killed in: a short one, as each point costs a process.
func killed(n int) story { return newStory(44, n) }

// kill starts a process for every commit point, which kills itself there with the signal that nothing can catch. What it has committed
// must be there, what it has not must be gone, and the terminals sending everything again must end as if nothing had been.
func (s suite) kill(t *testing.T) {
	name, told := s.fresh(t), reference.New(look)
	killed(0).end(t, told)
	all := s.points(t, name, killed(0))
	root, _, _ := strings.Cut(t.Name(), "/")
	for at := 1; at <= all; at++ {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+root+"$", fmt.Sprint("-history-seed=", *seed))
		child.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", victim, at, name))
		out, err := child.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "point %d of %d: it was to be killed, and said: %s", at, all, out)
		require.Equal(t, -1, exit.ExitCode(), "point %d: it was to be killed, and ended by itself: %s", at, out)
		of := killed(at)
		of.end(t, told)
		p := s.begin(t, name, nil)
		require.NoError(t, p.play(of.all))
		p.is(t, of, fmt.Sprintf("killed at point %d of %d", at, all))
		require.NoError(t, p.store.Close())
	}
	s.ends(t, name, told)
	t.Logf("killed %d processes", all)
}

// child is such a process's life; false in any other.
func (s suite) child(t testing.TB) bool {
	at, name := 0, ""
	if n, err := fmt.Sscanf(os.Getenv(victim), "%d %s", &at, &name); n != 2 || err != nil {
		return false
	}
	count := 0
	p := s.begin(t, name, func(string) error {
		if count++; count == at {
			die()
		}
		return nil
	})
	require.NoError(t, p.play(killed(at).all))
	return true
}

// die ends this process as a power cut would, but for the disk's memory.
func die() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {}
}
