package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/terminal/reader"
)

const token = "plr1_a-token-for-tests"

// line carries calls to the server, or does not.
type line struct {
	server *Server
	cut    func(n int) (before, after bool) // by the call, counted from 1; nil: never
	n      int
}

var errCut = errors.New("the line is cut")

// RoundTrip implements http.RoundTripper.
func (l *line) RoundTrip(req *http.Request) (*http.Response, error) {
	l.n++
	before, after := false, false
	if l.cut != nil {
		before, after = l.cut(l.n)
	}
	if before {
		return nil, errCut
	}
	rec := httptest.NewRecorder()
	l.server.ServeHTTP(rec, req)
	if after || req.Context().Err() != nil {
		return nil, errCut
	}
	resp := rec.Result()
	resp.Request = req
	return resp, nil
}

// echo is a card that answers a command with itself, and counts how often it got each.
type echo struct {
	got map[string]int
	err error
}

// Transmit implements apdu.Transmitter.
func (e *echo) Transmit(_ context.Context, command []byte) ([]byte, error) {
	e.got[string(command)]++
	if e.err != nil {
		return nil, e.err
	}
	return append(append([]byte{}, command...), 0x90, 0x00), nil
}

func pair(t *testing.T) (*Server, *Client, *line) {
	s, err := NewServer(token, Options{})
	require.NoError(t, err)
	c, err := NewClient("https://kiosk.example", token)
	require.NoError(t, err)
	l := &line{server: s}
	c.HTTP = &http.Client{Transport: l}
	return s, c, l
}

func command(n int) []byte { return []byte{0, 0xA4, byte(n), 0} }

// carried is a presentation in the background.
type carried struct {
	end  End
	err  error
	done chan struct{}
}

func carry(ctx context.Context, c *Client, card apdu.Transmitter) *carried {
	out := &carried{done: make(chan struct{})}
	go func() { out.end, out.err = c.Carry(ctx, card); close(out.done) }()
	return out
}

// TestEachCommandOnce loses each call once, before or after the server has it: the card gets each command once, and the loading side each answer.
func TestEachCommandOnce(t *testing.T) {
	const commands = 4
	for cut := range commands + 2 {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(cut, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, c, l := pair(t)
					l.cut = func(n int) (bool, bool) { return n == cut && !after, n == cut && after }
					card := &echo{got: map[string]int{}}
					there := carry(t.Context(), c, card)
					here, err := s.Wait(t.Context())
					require.NoError(t, err)
					for n := range commands {
						<-time.After(time.Minute) // nothing is sent for longer than a call is held
						answer, err := here.Transmit(t.Context(), command(n))
						require.NoError(t, err)
						require.Equal(t, append(command(n), 0x90, 0x00), answer)
					}
					require.NoError(t, here.Close(reader.Leave))
					<-there.done
					require.NoError(t, there.err)
					require.Equal(t, Done, there.end)
					require.Len(t, card.got, commands)
					for _, times := range card.got {
						require.Equal(t, 1, times)
					}
				})
			})
		}
	}
}

// TestALineThatStaysCut: what was not handed out was not sent; of what was, nobody knows. The card has had the command only in the second case, and once.
func TestALineThatStaysCut(t *testing.T) {
	for cut := 1; cut <= 5; cut++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(cut, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, c, l := pair(t)
					l.cut = func(n int) (bool, bool) { return n > cut || n == cut && !after, n == cut && after }
					card := &echo{got: map[string]int{}}
					there := carry(t.Context(), c, card)
					if cut == 1 && !after {
						<-there.done
						require.ErrorIs(t, there.err, ErrNoServer)
						return
					}
					here, err := s.Wait(t.Context())
					require.NoError(t, err)
					n := 0
					for ; err == nil; n++ {
						_, err = here.Transmit(t.Context(), command(n))
					}
					_, inTime := card.got[string(command(n-1))]
					if errors.Is(err, apdu.ErrNotSent) {
						require.False(t, inTime)
					} else {
						require.ErrorIs(t, err, apdu.ErrNoAnswer)
					}
					require.NoError(t, here.Removed(t.Context()))
					_, err = here.Transmit(t.Context(), command(n))
					require.ErrorIs(t, err, apdu.ErrNotSent, "the presentation is over")
					<-there.done
					require.ErrorIs(t, there.err, ErrNoServer)
					for _, times := range card.got {
						require.Equal(t, 1, times)
					}

					// The line is there again: another presentation.
					l.cut = nil
					again := carry(t.Context(), c, card)
					here, err = s.Wait(t.Context())
					require.NoError(t, err)
					_, err = here.Transmit(t.Context(), command(99))
					require.NoError(t, err)
					require.NoError(t, here.Close(reader.Leave))
					<-again.done
					require.Equal(t, Done, again.end)
				})
			})
		}
	}
}

// TestWhatTheCardsSideSays is what the loading side hears.
func TestWhatTheCardsSideSays(t *testing.T) {
	for said, heard := range map[error]error{
		fmt.Errorf("%w: gone", apdu.ErrNotSent): apdu.ErrNotSent, fmt.Errorf("%w: silent", apdu.ErrNoAnswer): apdu.ErrNoAnswer, errors.New("what"): apdu.ErrNoAnswer,
	} {
		synctest.Test(t, func(t *testing.T) {
			s, c, _ := pair(t)
			there := carry(t.Context(), c, &echo{got: map[string]int{}, err: said})
			here, err := s.Wait(t.Context())
			require.NoError(t, err)
			_, err = here.Transmit(t.Context(), command(1))
			require.ErrorIs(t, err, heard)
			<-there.done
			require.NoError(t, there.err)
			require.Equal(t, Lost, there.end)
		})
	}
}

func TestAKioskThatWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, _ := pair(t)
		slow := &slowCard{release: make(chan struct{})}
		there := carry(t.Context(), c, slow)
		here, err := s.Wait(t.Context())
		require.NoError(t, err)
		_, err = s.Wait(t.Context())
		require.ErrorIs(t, err, reader.ErrBusy)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = here.Transmit(ctx, command(1))
		require.ErrorIs(t, err, apdu.ErrNoAnswer, "the card has it")
		close(slow.release)
		<-there.done
		require.Equal(t, Lost, there.end, "the late answer is nobody's")

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = s.Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, s.Close())
		_, err = s.Wait(t.Context())
		require.ErrorIs(t, err, reader.ErrClosed)
		end, err := c.Carry(t.Context(), slow)
		require.NoError(t, err)
		require.Equal(t, Failed, end)
	})
}

type slowCard struct{ release chan struct{} }

// Transmit implements apdu.Transmitter.
func (c *slowCard) Transmit(context.Context, []byte) ([]byte, error) {
	<-c.release
	return []byte{0x90, 0x00}, nil
}

// TestTheEnds are told to the card's side, and the newest presentation counts.
func TestTheEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, _ := pair(t)
		card := &echo{got: map[string]int{}}
		old := carry(t.Context(), c, card)
		first, err := s.Wait(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		newer := carry(t.Context(), c, card)
		<-old.done
		require.Equal(t, Lost, old.end)
		require.NoError(t, first.Removed(t.Context()))
		require.NoError(t, first.Close(reader.Leave))
		second, err := s.Wait(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, second.Removed(ctx), context.DeadlineExceeded)
		require.NoError(t, second.Close(reader.Reset))
		<-newer.done
		require.Equal(t, Failed, newer.end)
	})
}

// post is one call by hand.
func post(s *Server, method, path, bearer, body string) (int, string) {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, req)
	return rec.Code, strings.TrimSpace(rec.Body.String())
}

const (
	idOne = "000102030405060708090a0b0c0d0e0f"
	idTwo = "100102030405060708090a0b0c0d0e0f"
)

// begun is the first report of a presentation; heard the report on a command.
func begun(id string) string { return fmt.Sprintf(`{"presentation":%q,"number":0}`, id) }
func heard(id string, n int, answer string) string {
	return fmt.Sprintf(`{"presentation":%q,"number":%d,"outcome":"answer","answer":%q}`, id, n, answer)
}

func TestTheProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := pair(t)
		call := func(body string) (int, string) { return post(s, "POST", Path, token, body) }
		status, _ := call(begun(idOne))
		require.Equal(t, 204, status, "nothing to do for a while")
		status, said := call(heard(idTwo, 1, "9000"))
		require.Equal(t, 200, status)
		require.JSONEq(t, `{"end":"lost"}`, said, "of a presentation that nobody knows")
		status, _ = call(heard(idOne, 1, "9000"))
		require.Equal(t, 409, status, "an answer to no command")

		go func() { _, _ = call(begun(idOne)) }()
		here, err := s.Wait(t.Context())
		require.NoError(t, err)
		var answer []byte
		transmitted := make(chan error, 1)
		transmit := func(n int) {
			go func() {
				var err error
				answer, err = here.Transmit(t.Context(), command(n))
				transmitted <- err
			}()
			synctest.Wait()
		}
		transmit(7)
		for range 2 { // asked for again, it is the same
			status, said = call(begun(idOne))
			require.Equal(t, 200, status)
			require.JSONEq(t, `{"number":1,"command":"00a40700"}`, said)
		}
		status, _ = call(heard(idOne, 2, "9000"))
		require.Equal(t, 409, status, "an answer to a later command")
		go func() { _, _ = call(heard(idOne, 1, "019000")) }()
		require.NoError(t, <-transmitted)
		require.Equal(t, []byte{1, 0x90, 0}, answer)
		status, _ = call(heard(idOne, 1, "6985"))
		require.Equal(t, 409, status, "another answer than before")
		transmit(8)
		status, said = call(heard(idOne, 1, "019000"))
		require.Equal(t, 200, status)
		require.JSONEq(t, `{"number":2,"command":"00a40800"}`, said)
		status, _ = call(begun(idOne))
		require.Equal(t, 409, status, "long past")
		go func() { _, _ = call(heard(idOne, 2, "9000")) }()
		require.NoError(t, <-transmitted)
		require.NoError(t, here.Close(reader.Leave))
		for range 2 {
			status, said = call(heard(idOne, 2, "9000"))
			require.Equal(t, 200, status)
			require.JSONEq(t, `{"end":"done"}`, said)
		}
		status, said = call(begun(idOne))
		require.Equal(t, 200, status)
		require.JSONEq(t, `{"end":"done"}`, said, "a late call does not begin it again")
		synctest.Wait()
	})
}

func TestWhoIsRefused(t *testing.T) {
	s, _, _ := pair(t)
	for name, c := range map[string]struct {
		method, path, token, body string
		status                    int
	}{
		"no token":          {"POST", Path, "", begun(idOne), 401},
		"another token":     {"POST", Path, token + "x", begun(idOne), 401},
		"another path":      {"POST", "/v1/loads", token, begun(idOne), 404},
		"another method":    {"GET", Path, token, "", 405},
		"no JSON":           {"POST", Path, token, "hello 6210947315926483", 400},
		"two values":        {"POST", Path, token, begun(idOne) + "{}", 400},
		"an unknown field":  {"POST", Path, token, `{"presentation":"` + idOne + `","number":0,"x":1}`, 400},
		"a short name":      {"POST", Path, token, begun("0102"), 400},
		"upper case":        {"POST", Path, token, begun(strings.ToUpper(idOne)), 400},
		"below zero":        {"POST", Path, token, heard(idOne, -1, "9000"), 400},
		"an early answer":   {"POST", Path, token, heard(idOne, 0, "9000"), 400},
		"half an answer":    {"POST", Path, token, heard(idOne, 1, "90"), 400},
		"no hexadecimal":    {"POST", Path, token, heard(idOne, 1, "90XX"), 400},
		"a long answer":     {"POST", Path, token, heard(idOne, 1, strings.Repeat("00", 259)), 400},
		"no outcome":        {"POST", Path, token, `{"presentation":"` + idOne + `","number":1}`, 400},
		"an answer of none": {"POST", Path, token, `{"presentation":"` + idOne + `","number":1,"outcome":"not_sent","answer":"9000"}`, 400},
		"too long":          {"POST", Path, token, strings.Repeat(" ", 5000) + begun(idOne), 413},
	} {
		status, said := post(s, c.method, c.path, c.token, c.body)
		require.Equal(t, c.status, status, name)
		require.Contains(t, said, "error", name)
		require.NotContains(t, said, "6210947315926483")
	}
	for _, bad := range []string{"", "short", "two words of a token that is long"} {
		_, err := NewServer(bad, Options{})
		require.Error(t, err)
	}
	for _, bad := range []string{"", "http://kiosk.example", "https://me:secret@kiosk.example", "kiosk.example"} {
		_, err := NewClient(bad, token)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "secret")
	}
	_, err := NewClient("https://kiosk.example", "two words")
	require.Error(t, err)
	require.NotEqual(t, NewToken(), NewToken())
}

// TestAClientThatIsRefused ends at once: it is the same the next time.
func TestAClientThatIsRefused(t *testing.T) {
	s, _, _ := pair(t)
	c, err := NewClient("https://kiosk.example", token+"x")
	require.NoError(t, err)
	l := &line{server: s}
	c.HTTP = &http.Client{Transport: l}
	_, err = c.Carry(t.Context(), &echo{got: map[string]int{}})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "token")
	require.Equal(t, 1, l.n)
}

// FuzzReport: whatever is sent is a report of the right form, or refused.
func FuzzReport(f *testing.F) {
	for _, seed := range []string{begun(idOne), heard(idOne, 1, "9000"), `{"presentation":"` + idOne + `","number":3,"outcome":"no_answer"}`, `{}`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := readReport(raw)
		if err != nil {
			require.ErrorIs(t, err, errForm)
			return
		}
		require.Len(t, r.Presentation, 32)
		require.Equal(t, r.Number == 0, r.Outcome == "")
		require.Equal(t, r.Outcome == answered, len(r.Answer) >= 4)
	})
}

// FuzzOrder: whatever is answered is a command for the card, an end, or neither.
func FuzzOrder(f *testing.F) {
	for _, seed := range []string{`{"number":1,"command":"00a40000"}`, `{"end":"done"}`, `{"end":"?"}`, `{}`, `{"number":1,"command":"00"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, command, err := readOrder(raw)
		if err != nil {
			require.ErrorIs(t, err, errForm)
			return
		}
		require.Equal(t, o.End == "", len(command) >= 4)
	})
}
