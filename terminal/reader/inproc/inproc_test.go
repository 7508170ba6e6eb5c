package inproc_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/terminal/reader"
	"github.com/purselane/purselane/terminal/reader/inproc"
	"github.com/purselane/purselane/terminal/reader/readertest"
)

type stand struct{ r *inproc.Reader }

func (s stand) Reader() reader.Reader        { return s.r }
func (s stand) Insert(chip *readertest.Chip) { s.r.Present(chip) }
func (s stand) Withdraw()                    { s.r.Withdraw() }

func TestConformance(t *testing.T) { readertest.Run(t, stand{inproc.New("bench")}) }

func TestCloseWithOpenCard(t *testing.T) { readertest.CloseWithOpenCard(t, stand{inproc.New("bench")}) }

// slow is a card whose answer waits for leave.
type slow struct{ working, leave chan struct{} }

func (s slow) Transmit(context.Context, []byte) ([]byte, error) {
	close(s.working)
	<-s.leave
	return []byte{0x90, 0x00}, nil
}

func TestAnAnswerOfACardThatLeftMeanwhileIsLost(t *testing.T) {
	r := inproc.New("gate")
	card := slow{make(chan struct{}), make(chan struct{})}
	r.Present(card)
	c, err := r.Wait(t.Context())
	require.NoError(t, err)
	go func() {
		<-card.working
		r.Withdraw()
		close(card.leave)
	}()
	_, err = c.Transmit(t.Context(), []byte{0, 1, 2, 3})
	require.ErrorIs(t, err, apdu.ErrNoAnswer)
}

func TestTwoCardsAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inproc.New("gate")
		first, second := &readertest.Chip{}, &readertest.Chip{}
		r.Present(first)
		r.Present(second)
		_, err := r.Wait(t.Context())
		require.ErrorIs(t, err, reader.ErrTwoCards)

		got := make(chan error, 1)
		go func() {
			_, err := r.Wait(t.Context())
			got <- err
		}()
		synctest.Wait()
		require.Empty(t, got, "the second Wait waits for the situation to change")
		r.Withdraw()
		r.Present(first)
		require.NoError(t, <-got)
	})
}
