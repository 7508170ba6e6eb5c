package kiosk_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/terminal/kiosk"
	"github.com/purselane/purselane/terminal/kiosk/relay"
	"github.com/purselane/purselane/terminal/reader"
)

// far is a kiosk whose card lies elsewhere.
type far struct {
	*scheme
	server *relay.Server
	client *relay.Client
	line   *network
}

func startFar(t *testing.T, s *scheme) *far {
	const token = "plr1_a-token-for-tests"
	server, err := relay.NewServer(token, relay.Options{})
	require.NoError(t, err)
	client, err := relay.NewClient("https://kiosk.example", token)
	require.NoError(t, err)
	f := &far{scheme: s, server: server, client: client, line: &network{handler: server}}
	client.HTTP = &http.Client{Transport: f.line}
	return f
}

// visit is one presentation of a far card, over a line that is cut as told.
func (f *far) visit(card apdu.Transmitter, cut fault) (kiosk.Result, error) {
	f.line.calls, f.line.fault = 0, cut
	ended := make(chan error, 1)
	go func() {
		end, err := f.client.Carry(f.t.Context(), card)
		if err == nil && end == relay.Failed {
			err = fmt.Errorf("the kiosk has given up")
		}
		ended <- err
	}()
	here, err := f.server.Wait(f.t.Context())
	require.NoError(f.t, err)
	r, loading := f.load(f.bus, here, f.request("sale-1"))
	require.NoError(f.t, here.Close(reader.Leave))
	if err := <-ended; err != nil {
		require.ErrorIs(f.t, err, relay.ErrNoServer)
	}
	return r, loading
}

// TestAFarLoad loads a card of each family over a relay whose line loses each message, once or from then on, before or after it came. The card is presented again where
// it is asked for; it has the value once, and the books agree.
func TestAFarLoad(t *testing.T) {
	families := map[string]struct {
		messages int
		card     func(*scheme) apdu.Transmitter
		once     func(*scheme, string)
	}{
		// One message more than commands: the first brings no answer.
		"EP purse":        {commands + 1, func(s *scheme) apdu.Transmitter { return epcard.Present(s.card, epcard.Tear{}) }, (*scheme).requireOnce},
		"electronic cash": {cashCommands + 1, func(s *scheme) apdu.Transmitter { return s.insert(pull{}) }, (*scheme).requireCashOnce},
	}
	for name, c := range families {
		t.Run(name, func(t *testing.T) {
			for cut := range c.messages + 1 {
				for _, after := range []bool{false, true} {
					for _, stays := range []bool{false, true} {
						if cut == 0 && (after || stays) || cut == 1 && stays && !after {
							continue // nothing is cut; or no card is ever seen
						}
						t.Run(fmt.Sprintf("message %d, answer lost %v, stays cut %v", cut, after, stays), func(t *testing.T) {
							s := start(t) // outside the bubble: the database has helpers of its own
							synctest.Test(t, func(t *testing.T) {
								s.t = t
								f := startFar(t, s)
								lost := fault{from: cut, to: cut, after: after}
								if stays {
									lost.to = 1 << 20
								}
								sent := 0
								card := &tamper{Transmitter: c.card(s), change: func(_ byte, answer []byte) []byte { sent++; return answer }}
								r, err := f.visit(card, lost)
								require.NoError(t, err)
								if !stays {
									require.Equal(t, kiosk.LoadDone, r.Outcome, r.Reason)
									require.Equal(t, c.messages-1, sent, "a message that came twice is one command")
								}
								// Message n hands out command n and brings the answer to the one before; the last command only reads the balance back.
								last := c.messages - 1
								require.Equal(t, stays && (cut < last || cut == last && !after), r.Outcome == kiosk.PresentAgain, r.Reason)
								if r.Outcome == kiosk.PresentAgain {
									r, err = f.visit(c.card(s), fault{})
									require.NoError(t, err)
								}
								require.Contains(t, []kiosk.Outcome{kiosk.LoadDone, kiosk.AlreadyDone}, r.Outcome)
								c.once(s, r.Order)
							})
						})
					}
				}
			}
		})
	}
}
