package store

import (
	"context"
	"math"
	"strings"
	"time"
)

// ChannelDecision is why a payment went where it went.
type ChannelDecision struct {
	Order      string
	N          int // within the order, given by the store
	At         time.Time
	Plan       int // version
	Rule       string
	Experiment string // "": none ran
	Variant    bool   // it took the experiment's plan
	Accounts   []string
	Reasons    []byte // of each account, JSON
}

// AddChannelDecisions notes decisions, each as the next of its order.
func (t *Tx) AddChannelDecisions(ctx context.Context, all []ChannelDecision) error {
	for _, d := range all {
		variant := 0
		if d.Variant {
			variant = 1
		}
		if _, err := t.exec(ctx, "add channel decision", `INSERT INTO channel_decision (order_id, n, at_ms, plan, rule, experiment, variant, accounts, reasons)
			SELECT ?, COALESCE(MAX(n), 0) + 1, ?, ?, ?, ?, ?, ?, ? FROM channel_decision WHERE order_id = ?`,
			d.Order, d.At.UnixMilli(), d.Plan, d.Rule, d.Experiment, variant, strings.Join(d.Accounts, " "), string(d.Reasons), d.Order); err != nil {
			return err
		}
	}
	return nil
}

// ChannelDecisions lists the decisions of an order, the first one first.
func (t *Tx) ChannelDecisions(ctx context.Context, order string) ([]ChannelDecision, error) {
	var out []ChannelDecision
	err := t.rows(ctx, "channel decisions", func(scan func(...any) error) error {
		var d ChannelDecision
		var at int64
		var variant int
		var accounts, reasons string
		err := scan(&d.Order, &d.N, &at, &d.Plan, &d.Rule, &d.Experiment, &variant, &accounts, &reasons)
		d.At, d.Variant, d.Accounts, d.Reasons = timeOf(at), variant == 1, strings.Fields(accounts), []byte(reasons)
		out = append(out, d)
		return err
	}, `SELECT order_id, n, at_ms, plan, rule, experiment, variant, accounts, reasons FROM channel_decision WHERE order_id = ? ORDER BY n`, order)
	return out, err
}

// PruneChannelDecisions forgets decisions made before a time.
func (t *Tx) PruneChannelDecisions(ctx context.Context, before time.Time) error {
	_, err := t.exec(ctx, "prune channel decisions", `DELETE FROM channel_decision WHERE at_ms < ?`, before.UnixMilli())
	return err
}

// ChannelArm is what came of one side of an experiment: of orders whose first attempt says something of the channel.
type ChannelArm struct{ Orders, Good int }

// ChannelExperiment is an experiment with a second routing plan.
type ChannelExperiment struct {
	Name  string
	Began time.Time
	Ended time.Time // zero: it runs
	Why   string    // it ended

	Counted time.Time // what was decided before is added up for good
}

// BeginChannelExperiment notes that an experiment runs, or returns it as it is.
func (t *Tx) BeginChannelExperiment(ctx context.Context, name string, at time.Time) (ChannelExperiment, error) {
	if _, err := t.exec(ctx, "begin channel experiment", `INSERT INTO channel_experiment (name, began_ms, ended_ms, why) VALUES (?, ?, 0, '') ON CONFLICT (name) DO NOTHING`, name, at.UnixMilli()); err != nil {
		return ChannelExperiment{}, err
	}
	all, err := t.channelExperiments(ctx, ` WHERE name = ?`, name)
	return only("channel experiment "+name, all, err)
}

// EndChannelExperiment notes why an experiment ended; one that has ended stays as it is. It reports whether it was this call that ended it.
func (t *Tx) EndChannelExperiment(ctx context.Context, name, why string, at time.Time) (bool, error) {
	r, err := t.exec(ctx, "end channel experiment", `UPDATE channel_experiment SET ended_ms = ?, why = ? WHERE name = ? AND ended_ms = 0`, at.UnixMilli(), why, name)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// ChannelExperiments lists experiments, the newest first.
func (t *Tx) ChannelExperiments(ctx context.Context) ([]ChannelExperiment, error) {
	return t.channelExperiments(ctx, ``)
}

func (t *Tx) channelExperiments(ctx context.Context, where string, args ...any) ([]ChannelExperiment, error) {
	var out []ChannelExperiment
	err := t.rows(ctx, "channel experiments", func(scan func(...any) error) error {
		var e ChannelExperiment
		var began, ended, counted int64
		err := scan(&e.Name, &began, &ended, &e.Why, &counted)
		e.Began, e.Ended, e.Counted = timeOf(began), timeOf(ended), timeOf(counted)
		out = append(out, e)
		return err
	}, `SELECT name, began_ms, ended_ms, why, counted_ms FROM channel_experiment`+where+` ORDER BY began_ms DESC, name`, args...)
	return out, err
}

// ChannelArms counts both sides of an experiment by the first attempt of each order, whatever was tried after it. An attempt counts against its side when the channel or the bank was at
// fault, or nobody knows what became of it, and so does an order that no account takes; where the payer or risk refused, or it has not been answered yet, it does not count. What
// [Tx.FoldChannelArms] has added up is not read again.
func (t *Tx) ChannelArms(ctx context.Context, experiment string) (base, variant ChannelArm, err error) {
	var counted int64
	if _, err := t.one(ctx, "channel arms so far", `SELECT counted_ms, base_orders, base_good, variant_orders, variant_good FROM channel_experiment WHERE name = ?`, []any{experiment},
		&counted, &base.Orders, &base.Good, &variant.Orders, &variant.Good); err != nil {
		return base, variant, err
	}
	err = t.addChannelArms(ctx, experiment, counted, math.MaxInt64, &base, &variant)
	return base, variant, err
}

// FoldChannelArms adds up what was decided before a time once and for all, so that it is not read again, and may be forgotten. What nobody knows of it by then stays a failure of its side.
func (t *Tx) FoldChannelArms(ctx context.Context, experiment string, before time.Time) error {
	var counted int64
	var base, variant ChannelArm
	found, err := t.one(ctx, "channel arms so far", `SELECT counted_ms, base_orders, base_good, variant_orders, variant_good FROM channel_experiment WHERE name = ?`, []any{experiment},
		&counted, &base.Orders, &base.Good, &variant.Orders, &variant.Good)
	if err != nil || !found || before.UnixMilli() <= counted {
		return err
	}
	if err := t.addChannelArms(ctx, experiment, counted, before.UnixMilli(), &base, &variant); err != nil {
		return err
	}
	_, err = t.exec(ctx, "fold channel arms", `UPDATE channel_experiment SET counted_ms = ?, base_orders = ?, base_good = ?, variant_orders = ?, variant_good = ? WHERE name = ?`,
		before.UnixMilli(), base.Orders, base.Good, variant.Orders, variant.Good, experiment)
	return err
}

func (t *Tx) addChannelArms(ctx context.Context, experiment string, from, to int64, base, variant *ChannelArm) error {
	return t.rows(ctx, "channel arms", func(scan func(...any) error) error {
		var v int
		var a ChannelArm
		if err := scan(&v, &a.Orders, &a.Good); err != nil {
			return err
		}
		arm := base
		if v == 1 {
			arm = variant
		}
		arm.Orders, arm.Good = arm.Orders+a.Orders, arm.Good+a.Good
		return nil
	}, `SELECT d.variant, COUNT(*), SUM(CASE WHEN d.accounts = '' OR p.state IN ('failed', 'unknown') THEN 0 ELSE 1 END)
		FROM channel_decision d LEFT JOIN gateway_payment p ON p.order_id = d.order_id AND p.n = 1
		WHERE d.experiment = ? AND d.at_ms >= ? AND d.at_ms < ? AND d.n = 1 AND (d.accounts = '' OR p.sent_ms > 0 AND p.state NOT IN ('created', 'challenged', 'calling') AND (p.state <> 'failed' OR p.class IN (2, 3, 4)))
		GROUP BY d.variant ORDER BY d.variant`, experiment, from, to)
}

// GatewayPaymentsMade calls f with each attempt made from one time to before another, the oldest first.
func (t *Tx) GatewayPaymentsMade(ctx context.Context, from, to time.Time, f func(GatewayPayment) error) error {
	return t.rows(ctx, "gateway payments made", func(scan func(...any) error) error {
		var p GatewayPayment
		if err := scanColumns(scan, p.columns()); err != nil {
			return err
		}
		return f(p)
	}, `SELECT `+names((&GatewayPayment{}).columns())+` FROM gateway_payment WHERE created_ms >= ? AND created_ms < ? ORDER BY created_ms, number`, from.UnixMilli(), to.UnixMilli())
}
