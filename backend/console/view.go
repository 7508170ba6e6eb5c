package console

import (
	"time"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// maxTerminals bounds the list: a first page is no register. Those with a backlog come first.
const maxTerminals = 30

// pageView is all that the templates read. T holds the words.
type pageView struct {
	Lang, HTMLLang string
	T              map[string]string
	Broken         bool // the sums overflowed: no figure of the map can be trusted
	Map            MoneyMap
	Cards          int64
	Suspense       []Part
	Taps           []tapView
	Terminals      []terminalView
	MoreTerminals  int
	Findings       []findingView
	OpenFindings   int64
	Days           []dayView
	Cases          []caseView
	MoreCases      int64
	Links          []link // to other pages
}

type tapView struct {
	ISO, Full, Date, Time, Terminal, Place, Kind, Card string
	Amount                                             money.Amount
	Outcome                                            string // the backend's verdict, in words
	Said                                               string // what the terminal said, when it is worth saying
	Tone                                               string // good, wait, warn, bad
}

type terminalView struct {
	ID, Place, ISO, Full, Date, Seen string
	Stopped, Offline                 bool // Offline: it was heard once, and its link is down
	Backlog                          int
}

type findingView struct {
	Code, Text, Tone string
	Open             int64
}

type dayView struct {
	Day, State, Tone            string
	Accepted, Rejected, Suspect store.Tally
	Net                         money.Amount
	Digest                      string // first eight digits
}

type caseView struct {
	ID, Kind, State, Tone, Tap, Merchant, ISO, Full, Due string
	Amount                                               money.Amount
	By                                                   string // who proposed
}

func view(ov store.Overview, lang string, loc *time.Location) pageView {
	t := texts[lang]
	word := func(prefix, code string) string {
		if s, ok := t[prefix+code]; ok {
			return s
		}
		return code // a code newer than the page is shown as it is
	}
	v := pageView{Lang: lang, HTMLLang: map[string]string{"en": "en", "zh": "zh-Hans"}[lang], T: t, Cards: ov.Cards}
	var err error
	v.Map, err = moneyMap(ov)
	v.Broken = err != nil
	for _, p := range v.Map.SuspenseParts {
		v.Suspense = append(v.Suspense, Part{word("susp.", p.Name), p.Amount})
	}
	for _, tap := range ov.Taps {
		line := tapView{ISO: iso(tap.At), Full: full(tap.At, loc), Date: tap.At.In(loc).Format(shortDate), Time: tap.At.In(loc).Format(time.TimeOnly), Terminal: string(tap.Terminal), Place: tap.Place,
			Kind: word("kind.", tap.Kind), Card: tap.Card, Amount: tap.Amount, Outcome: word("verdict.", tap.Verdict), Tone: tone(tap.Verdict)}
		if tap.Outcome != "completed" {
			line.Said = word("said.", tap.Outcome)
		}
		v.Taps = append(v.Taps, line)
	}
	for _, backlogged := range []bool{true, false} {
		for _, m := range ov.Terminals {
			if m.Backlog > 0 != backlogged {
				continue
			}
			if len(v.Terminals) == maxTerminals {
				v.MoreTerminals++
				continue
			}
			line := terminalView{ID: string(m.ID), Place: m.Place, Seen: t["never"], Stopped: !m.Active, Offline: !m.Online && !m.LastSeen.IsZero(), Backlog: m.Backlog}
			if !m.LastSeen.IsZero() {
				line.ISO, line.Full = iso(m.LastSeen), full(m.LastSeen, loc)
				line.Date, line.Seen = m.LastSeen.In(loc).Format(shortDate), m.LastSeen.In(loc).Format(time.TimeOnly)
			}
			v.Terminals = append(v.Terminals, line)
		}
	}
	for _, f := range ov.Findings {
		line := findingView{Code: f.Code, Text: word("finding.", f.Code), Tone: "warn", Open: f.Open}
		if f.Severity == "alarm" {
			line.Tone = "bad"
		}
		v.Findings = append(v.Findings, line)
		v.OpenFindings += f.Open
	}
	for _, d := range ov.Days {
		line := dayView{Day: d.Day, State: word("day.", d.State), Tone: "wait", Accepted: d.Accepted, Rejected: d.Rejected, Suspect: d.Suspect, Net: d.Net}
		if d.State != "open" {
			line.Tone = "good"
		}
		if line.Digest = d.Digest; len(line.Digest) > 8 {
			line.Digest = line.Digest[:8]
		}
		v.Days = append(v.Days, line)
	}
	for _, c := range ov.Cases {
		tap := ids.TapID{Terminal: c.Claim.Terminal, Epoch: c.Claim.Epoch, Tap: c.Claim.Tap}
		line := caseView{ID: c.ID, Kind: word("case.", c.Kind), State: word("case_state.", c.State), Tone: "warn", Tap: tap.String(), Merchant: string(c.Merchant),
			ISO: iso(c.Due), Full: full(c.Due, loc), Due: c.Due.In(loc).Format(time.DateOnly), Amount: c.Amount, By: c.ProposedBy}
		if c.State == "proposed" {
			line.Tone, line.State = "wait", word("case_state.", c.State+"."+c.Proposal)
		}
		v.Cases = append(v.Cases, line)
	}
	v.MoreCases = ov.CaseCount - int64(len(ov.Cases))
	return v
}

// tone is how a verdict is coloured. Every tone has its own sign too: colour alone says nothing to one reader in twelve.
func tone(verdict string) string {
	switch verdict {
	case "accepted", "inferred", "granted":
		return "good"
	case "", "undecided":
		return "wait"
	case "void", "duplicate":
		return "calm"
	case "unknown":
		return "warn"
	}
	return "bad"
}

// shortDate has no year: a tap may come days late, but not a year. The whole time is in the element's title.
const shortDate = "01-02"

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func full(t time.Time, loc *time.Location) string {
	return t.In(loc).Format("2006-01-02 15:04:05 -07:00")
}
