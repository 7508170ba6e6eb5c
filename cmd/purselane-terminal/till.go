package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
)

// till reads what a cash register asks, one request a line:
//
//	sell AMOUNT REQUEST [LANE]    the next card at the lane pays; once for each REQUEST
//	what REQUEST                  what became of it
type till struct {
	in       io.Reader
	screen   *lights
	patience time.Duration
	lanes    []edge.Lane

	started  sync.Once
	requests chan string
	busy     sync.WaitGroup
}

// serve starts to answer by terminal t. The lines are read once however often the terminal is opened again.
func (s *till) serve(ctx context.Context, t *edge.Terminal) {
	if !slices.ContainsFunc(s.lanes, func(l edge.Lane) bool { return l.Mode == tap.Sale }) {
		return
	}
	s.started.Do(func() {
		s.requests = make(chan string)
		go func() {
			for lines := bufio.NewScanner(s.in); lines.Scan(); {
				s.requests <- lines.Text()
			}
		}()
	})
	s.busy.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case l := <-s.requests:
				s.busy.Go(func() { s.do(ctx, t, l) })
			}
		}
	})
}

// wait returns when every request has its answer.
func (s *till) wait() { s.busy.Wait() }

func (s *till) do(ctx context.Context, t *edge.Terminal, text string) {
	f := strings.Fields(text)
	switch {
	case len(f) == 0:
	case f[0] == "sell" && (len(f) == 3 || len(f) == 4):
		lane, err := s.lane(f[3:])
		if err != nil {
			s.screen.answer(edge.AllLanes, f[2], tap.Result{Outcome: tap.OutOfService}, err)
			return
		}
		amount, err := money.Parse(f[1])
		if err != nil {
			s.screen.answer(lane, f[2], tap.Result{Outcome: tap.OutOfService}, err)
			return
		}
		wait, cancel := context.WithTimeout(ctx, s.patience)
		defer cancel()
		r, err := t.Charge(wait, lane, amount, f[2])
		s.screen.answer(lane, f[2], r, err)
	case f[0] == "what" && len(f) == 2:
		sale, found, err := t.Sale(f[1])
		r := tap.Result{Outcome: tap.PresentAgain, Reason: "nothing is known of it here: nothing was taken"}
		if found {
			r = sale.Result()
		}
		s.screen.answer(edge.AllLanes, f[1], r, err)
	default:
		s.screen.answer(edge.AllLanes, "", tap.Result{Outcome: tap.OutOfService},
			fmt.Errorf("%q: want \"sell AMOUNT REQUEST [LANE]\" or \"what REQUEST\"", text))
	}
}

// lane is the lane that was named, or the only till there is.
func (s *till) lane(named []string) (int, error) {
	if len(named) == 1 {
		return strconv.Atoi(named[0])
	}
	found := -1
	for i, l := range s.lanes {
		if l.Mode == tap.Sale {
			if found >= 0 {
				return 0, fmt.Errorf("lanes %d and %d are tills: name one", found, i)
			}
			found = i
		}
	}
	return found, nil
}
