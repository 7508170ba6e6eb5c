package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount"
	"github.com/purselane/purselane/shadowaccount/books"
)

// Overview is the scheme at one moment, read in one snapshot: what the operators' first page shows.
type Overview struct {
	Cards     int64           // shadow accounts
	OnCards   money.Amount    // sum of the shadow accounts, from the card rows and not from the books
	Balances  []books.Balance // every account
	Taps      []TapLine       // latest first, as they arrived
	Terminals []Terminal
	Findings  []FindingCount // open ones, by code
	Days      []DayLine      // clearing days, latest first
	Cases     []Case         // that run, the first to be due at the top
	CaseCount int64          // of those that run
}

// TapLine is one record as the page shows it. It holds no card number: Card is masked.
type TapLine struct {
	At       time.Time // by the terminal's clock
	Terminal ids.TerminalID
	Place    string
	Kind     string // purchase, entry, exit, correction
	Card     string // "****1234"
	Amount   money.Amount
	Outcome  string // what the terminal said: completed, unknown, voided, aged
	Verdict  string // what the backend decided, "" while it has not
}

// FindingCount is how many findings of one code are open.
type FindingCount struct {
	Code     string
	Severity string
	Open     int64
}

// DayLine is one clearing day in short.
type DayLine struct {
	Day      string
	State    string // open, closed, paid
	Accepted Tally
	Rejected Tally
	Suspect  Tally
	Net      money.Amount // what all parties together are owed; negative: what they owe
	Digest   string       // of the report, "" while open
}

// Tally counts records and adds up their amounts.
type Tally struct {
	Count  int64
	Amount money.Amount
}

// How much of each list an overview holds.
const (
	overviewTaps  = 20
	overviewDays  = 10
	overviewCases = 10
)

// Overview reads it.
func (s *Store) Overview(ctx context.Context) (Overview, error) {
	var ov Overview
	err := s.View(ctx, func(t *Tx) error {
		var shadows int64
		if _, err := t.one(ctx, "cards in all", `SELECT COUNT(*), COALESCE(SUM(shadow), 0) FROM card`, nil, &ov.Cards, &shadows); err != nil {
			return err
		}
		ov.OnCards = money.Minor(shadows)
		var err error
		if ov.Balances, err = t.TrialBalance(ctx); err != nil {
			return err
		}
		if ov.Taps, err = t.tapLines(ctx); err != nil {
			return err
		}
		if ov.Terminals, err = t.Terminals(ctx); err != nil {
			return err
		}
		if ov.Findings, err = t.findingCounts(ctx); err != nil {
			return err
		}
		if ov.Days, err = t.dayLines(ctx); err != nil {
			return err
		}
		ov.Cases, ov.CaseCount, err = t.RunningCases(ctx, overviewCases)
		return err
	})
	return ov, err
}

// Names of the wire's record kinds and of what terminals say, as pages show them.
var (
	kindNames = map[int]string{1: "purchase", 2: "entry", 3: "exit", 4: "correction"}
	saidNames = map[shadowaccount.Said]string{
		shadowaccount.SaidUnknown: "unknown", shadowaccount.SaidAged: "aged", shadowaccount.SaidVoided: "voided",
		shadowaccount.SaidCardLog: "card-log", shadowaccount.SaidCompleted: "completed",
	}
)

func (t *Tx) tapLines(ctx context.Context) ([]TapLine, error) {
	where, args, err := t.latestClaims(ctx, overviewTaps)
	if err != nil || where == "" {
		return nil, err
	}
	var out []TapLine
	err = t.rows(ctx, "latest taps", func(scan func(...any) error) error {
		var l TapLine
		var card []byte
		var at, amount int64
		var kind int
		var said shadowaccount.Said
		var status shadowaccount.Status
		if err := scan(&at, &l.Terminal, &l.Place, &card, &amount, &kind, &said, &status); err != nil {
			return err
		}
		var number ids.CardNumber
		copy(number[:], card)
		l.At, l.Card, l.Amount = time.UnixMilli(at), number.String(), money.Minor(amount)
		l.Kind, l.Outcome, l.Verdict = kindNames[kind], saidNames[said], status.String()
		out = append(out, l)
		return nil
	}, `SELECT c.at_ms, c.terminal, COALESCE(x.place, ''), c.card, c.amount, c.kind, c.said, c.status
		FROM claim c LEFT JOIN terminal x ON x.id = c.terminal WHERE `+where+` ORDER BY c.received_ms DESC, c.at_ms DESC, c.terminal, c.epoch, c.tap DESC LIMIT ?`, append(args, overviewTaps)...)
	return out, err
}

// findingCounts counts what is suspicious about cards, about terminals' journals, about load orders and about accounts.
func (t *Tx) findingCounts(ctx context.Context) ([]FindingCount, error) {
	var out []FindingCount
	err := t.rows(ctx, "open findings", func(scan func(...any) error) error {
		var f FindingCount
		var load bool
		if err := scan(&f.Code, &load, &f.Open); err != nil {
			return err
		}
		severity, _ := shadowaccount.SeverityOf(shadowaccount.Code(f.Code))
		if load {
			severity = shadowaccount.Alarm // each is about money that was paid, or an account: an officer looks
		}
		f.Severity = string(severity)
		out = append(out, f)
		return nil
	}, `SELECT code, 0, COUNT(*) FROM finding GROUP BY code
		UNION ALL SELECT ?, 0, COUNT(*) FROM record_conflict HAVING COUNT(*) > 0
		UNION ALL SELECT code, 1, COUNT(*) FROM load_finding GROUP BY code
		UNION ALL SELECT ?, 1, COUNT(*) FROM account WHERE edited = 1 HAVING COUNT(*) > 0
		ORDER BY 1`, string(shadowaccount.FindRecordConflict), NoteEdited)
	return out, err
}

// dayLines lists the days not closed yet, as they stand now, and the closed ones: the latest of each.
func (t *Tx) dayLines(ctx context.Context) ([]DayLine, error) {
	byDay := map[string]*DayLine{}
	var out []DayLine
	tally := func(scan func(...any) error) error {
		var day, class string
		var count, amount int64
		if err := scan(&day, &class, &count, &amount); err != nil {
			return err
		}
		l := byDay[day]
		if l == nil {
			l = &DayLine{Day: day, State: "open"}
			byDay[day] = l
		}
		to := map[string]*Tally{"accepted": &l.Accepted, "rejected": &l.Rejected, "suspect": &l.Suspect}[class]
		if to != nil {
			*to = Tally{count, money.Minor(amount)}
		}
		return nil
	}
	last, err := t.LastClosedDay(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.rows(ctx, "open days", tally, `SELECT day, CASE WHEN status IN (?, ?, ?) THEN 'accepted' WHEN status IN (?, ?) THEN 'rejected' WHEN status IN (?, ?) THEN 'suspect' ELSE '' END AS class,
		COUNT(*), SUM(amount) FROM claim WHERE day > ? GROUP BY day, class`,
		int(shadowaccount.Stands), int(shadowaccount.Inferred), int(shadowaccount.Granted), int(shadowaccount.BadTAC), int(shadowaccount.Denied), int(shadowaccount.Open), int(shadowaccount.Clone), last); err != nil {
		return nil, err
	}
	for _, l := range byDay {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b DayLine) int { return strings.Compare(b.Day, a.Day) })
	out = out[:min(len(out), overviewDays)]
	closed, err := t.ClosedDays(ctx, overviewDays)
	if err != nil {
		return nil, err
	}
	for _, d := range closed {
		byDay[d.Day] = &DayLine{Day: d.Day}
		if err := t.rows(ctx, "closed day", tally, `SELECT day, class, COUNT(*), SUM(amount) FROM settlement_item WHERE day = ? AND was_day = '' GROUP BY day, class`, d.Day); err != nil {
			return nil, err
		}
		var net int64
		if _, err := t.one(ctx, "net of day", `SELECT COALESCE(SUM(net), 0) FROM settlement_party WHERE day = ?`, []any{d.Day}, &net); err != nil {
			return nil, err
		}
		l := *byDay[d.Day]
		l.State, l.Net, l.Digest = "closed", money.Minor(net), d.Digest
		if d.Paid() {
			l.State = "paid"
		}
		out = append(out, l)
	}
	return out, nil
}
