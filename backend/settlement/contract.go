package settlement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/calendar"
	"github.com/purselane/purselane/shadowaccount/fee"
)

// partyMerchant is the kind of a merchant with a contract of its own. A merchant has no position: its acquirer has.
const partyMerchant = "merchant"

var (
	// ErrContract: a contract would change what closed days were charged by.
	ErrContract = errors.New("the contract differs on days that are closed")
	// ErrParty: there is no such party.
	ErrParty = errors.New("no such party")
)

// SetContract notes what a party is charged from now on, in place of the contract before. Kind is acquirer, channel or merchant.
// Terms that began on or before the last closed day stay as they are: a new term begins after it. Setting the same again changes nothing.
// Errors: [ErrParty], [ErrContract], and every fault of the schedule.
func SetContract(ctx context.Context, s *store.Store, kind, party string, schedule fee.Schedule, now time.Time) error {
	if err := schedule.Check(); err != nil {
		return fmt.Errorf("contract of %s %s: %w", kind, party, err)
	}
	var faults []error
	for _, t := range schedule.Terms {
		faults = append(faults, CheckStandards(kind, party, t.Standards))
		if kind == partyChannel && t.ExpireAfter != nil {
			faults = append(faults, fmt.Errorf("contract of %s %s: expire_after: no tap comes through a channel", kind, party))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	raw, err := json.Marshal(schedule)
	if err != nil {
		return fmt.Errorf("contract of %s %s: %w", kind, party, err)
	}
	return s.Update(ctx, func(tx *store.Tx) error {
		if err := partyExists(ctx, tx, kind, party); err != nil {
			return err
		}
		last, err := tx.LastClosedDay(ctx)
		if err != nil {
			return err
		}
		before, err := contractOf(ctx, tx, kind, party)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		closed := calendar.Date(last)
		if !reflect.DeepEqual(begun(before, closed), begun(schedule, closed)) {
			return fmt.Errorf("contract of %s %s: %w: %s is the last one: keep the terms that began on or before it as they are, and let a new one begin after it", kind, party, ErrContract, last)
		}
		if schedule.Until != "" && schedule.Until < closed && schedule.Until != before.Until {
			return fmt.Errorf("contract of %s %s: %w: until %s, and %s is closed", kind, party, ErrContract, schedule.Until, last)
		}
		return tx.PutContract(ctx, store.Contract{Kind: kind, Party: party, Schedule: string(raw), NotedAt: now})
	})
}

// ContractOf reads a party's contract. Error: [store.ErrNotFound].
func ContractOf(ctx context.Context, s *store.Store, kind, party string) (fee.Schedule, error) {
	var out fee.Schedule
	err := s.View(ctx, func(tx *store.Tx) error {
		var err error
		out, err = contractOf(ctx, tx, kind, party)
		return err
	})
	return out, err
}

func contractOf(ctx context.Context, tx *store.Tx, kind, party string) (fee.Schedule, error) {
	c, err := tx.Contract(ctx, kind, party)
	if err != nil {
		return fee.Schedule{}, err
	}
	return readSchedule(c)
}

func readSchedule(c store.Contract) (fee.Schedule, error) {
	var out fee.Schedule
	if err := json.Unmarshal([]byte(c.Schedule), &out); err != nil {
		return fee.Schedule{}, fmt.Errorf("settlement: contract of %s %s: %w", c.Kind, c.Party, err)
	}
	return out, nil
}

// begun are the terms that began on or before a day, as they are printed.
func begun(s fee.Schedule, day calendar.Date) []string {
	var out []string
	for _, t := range s.Terms {
		if t.From <= day {
			raw, err := json.Marshal(t)
			out = append(out, fmt.Sprint(string(raw), err))
		}
	}
	return out
}

func partyExists(ctx context.Context, tx *store.Tx, kind, party string) error {
	known := map[string]bool{}
	switch kind {
	case partyAcquirer:
		all, err := tx.Acquirers(ctx)
		if err != nil {
			return err
		}
		for _, a := range all {
			known[string(a.ID)] = true
		}
	case partyChannel:
		all, err := tx.Channels(ctx)
		if err != nil {
			return err
		}
		for _, c := range all {
			known[c.ID] = true
		}
	case partyMerchant:
		all, err := tx.Merchants(ctx)
		if err != nil {
			return err
		}
		for _, m := range all {
			known[string(m.ID)] = true
		}
	default:
		return fmt.Errorf("%w: kind %q: want %s, %s or %s", ErrParty, kind, partyAcquirer, partyChannel, partyMerchant)
	}
	if !known[party] {
		return fmt.Errorf("%w: %s %q: name it in scheme.yaml first", ErrParty, kind, party)
	}
	return nil
}

// inForce is what a party is charged by on a day: by its contract, or before that begins by the list given. Kept says
// whether it is by its contract.
func inForce(ctx context.Context, tx *store.Tx, kind, party, list, day string) (fees, since string, kept bool, err error) {
	date := calendar.Date(day)
	c, err := contractOf(ctx, tx, kind, party)
	if errors.Is(err, store.ErrNotFound) || err == nil && date < c.Terms[0].From {
		return list, string(date.MonthStart()), false, nil
	}
	if err != nil {
		return "", "", false, err
	}
	term, err := c.On(date)
	if err != nil {
		return "", "", false, fmt.Errorf("%s %s: %w", kind, party, err)
	}
	raw, err := json.Marshal(term.Standards)
	return string(raw), string(term.MonthStart(date)), true, err
}

// CheckStandards reports what fee standards of a party, by its kind, say that settlement cannot do: a scheme that has such is refused
// before its first day, and not when that is closed.
func CheckStandards(kind, party string, all []fee.Standard) error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("settlement: %s %s: %w", kind, party, fmt.Errorf(format, args...)))
	}
	kinds := map[string]bool{}
	for _, s := range all {
		if err := s.Check(); err != nil {
			bad("%w", err)
			continue
		}
		// The card was debited the fare and no more, so nobody is left to charge on top of it.
		if kind != partyChannel && !s.OnlyInside() {
			bad("fee standard %q is charged outside: an offline purchase is charged inside", s.Name)
		}
		if kind == partyChannel && s.Side != all[0].Side {
			bad("fee standards of both sides: want one")
		}
		if kind == partyChannel && s.Monthly() {
			bad("fee standard %q is taken once a month: a channel keeps its fee of what it pays", s.Name)
		}
		for _, c := range s.Charges {
			if kinds[c.Kind] {
				bad("fee kind %q is there twice", c.Kind)
			}
			kinds[c.Kind] = true
			if c.To != "" {
				bad("fee kind %q goes to %s: a day's fees are the scheme's", c.Kind, c.To)
			}
			// A channel's day comes as one sum; its fee for each payment comes with its own bill.
			if kind == partyChannel && (c.Per != "" && c.Per != fee.Day || c.Side != "" && c.Side != s.Side) {
				bad("fee kind %q: a channel's day is charged as one sum, on one side", c.Kind)
			}
		}
		if s.Tax != nil {
			if kinds[s.Tax.Kind] {
				bad("fee kind %q is there twice", s.Tax.Kind)
			}
			kinds[s.Tax.Kind] = true
		}
	}
	return errors.Join(faults...)
}
