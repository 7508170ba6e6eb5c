package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	log      *slog.Logger
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
			lines := bufio.NewScanner(s.in)
			for lines.Scan() {
				if strings.TrimSpace(lines.Text()) != "" {
					s.requests <- lines.Text()
				}
			}
			s.log.Info("till: no more requests on standard input", "err", lines.Err())
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
	r, err := parseAsk(text)
	lane := edge.AllLanes
	if err == nil && r.sell {
		lane, err = s.lane(r.lane)
	}
	switch {
	case err != nil:
		s.screen.answer(edge.AllLanes, r.request, tap.Result{Outcome: tap.OutOfService}, err)
	case r.sell:
		wait, cancel := context.WithTimeout(ctx, s.patience)
		defer cancel()
		result, err := t.Charge(wait, lane, r.amount, r.request)
		s.screen.answer(lane, r.request, result, err)
	default:
		sale, found, err := t.Sale(r.request)
		result := tap.Result{Outcome: tap.PresentAgain, Reason: "nothing is known of it here: nothing was taken"}
		if found {
			result = sale.Result()
		}
		s.screen.answer(lane, r.request, result, err)
	}
}

// tillAsk is one line of a till.
type tillAsk struct {
	sell    bool // else it asks what became of the request
	amount  money.Amount
	request string
	lane    int // -1: not named
}

func parseAsk(text string) (a tillAsk, err error) {
	f := strings.Fields(text)
	a.lane = -1
	switch {
	case len(f) == 2 && f[0] == "what":
		a.request = f[1]
		return a, nil
	case (len(f) == 3 || len(f) == 4) && f[0] == "sell":
		a.sell, a.request = true, f[2]
	default:
		return a, errors.New("want \"sell AMOUNT REQUEST [LANE]\" or \"what REQUEST\"")
	}
	if a.amount, err = money.Parse(f[1]); err != nil {
		return a, err
	}
	if len(f) == 4 {
		if a.lane, err = strconv.Atoi(f[3]); err != nil || a.lane < 0 {
			return a, fmt.Errorf("lane %q: want a number from 0", f[3])
		}
	}
	return a, nil
}

// lane is the lane that was named, or the only till there is.
func (s *till) lane(named int) (int, error) {
	if named >= 0 {
		return named, nil
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
