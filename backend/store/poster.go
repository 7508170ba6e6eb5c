package store

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/purselane/purselane/internal/ids"
)

// Records are shared out over lanes by the card that they name, and the posters of several processes share the lanes: each verifies and posts the records of
// its own. Whoever posts locks the rows of its lanes first and finds them as it saw them when it read the records (HoldLanes). So a record is posted once, and a
// poster that was taken for dead, and wakes, posts nothing.

// Lanes is how many lanes there are. Their number is written into the schema.
const Lanes = 16

// LaneOf is the lane of the records of a card, by its number or by what terminals call it, as records have it. It is kept with records, so it never changes.
func LaneOf(card ids.CardNumber) int {
	h := fnv.New32a()
	h.Write(card[:])
	return int(h.Sum32() % Lanes)
}

var (
	// ErrFenced says that lanes have another owner than when their records were read: nothing of them may be posted.
	ErrFenced = errors.New("the lanes have another poster by now")
	// ErrPostedMeanwhile says that records of the lanes were posted since they were read: what was read may be among them.
	ErrPostedMeanwhile = errors.New("records of the lanes were posted meanwhile")
)

// Lane is a lane as it stood.
type Lane struct {
	Number int
	Owner  string // "" for none
	Fence  int64  // counts changes of the owner
	mark   int64  // counts transactions that posted records of it
}

// Held are the lanes whose records are posted together.
type Held struct {
	lanes []Lane // by number
	any   bool   // whoever they belong to
}

// Lanes are the numbers of the lanes.
func (h Held) Lanes() []int {
	out := make([]int, len(h.lanes))
	for i, l := range h.lanes {
		out[i] = l.Number
	}
	return out
}

// AllLanes reads all lanes as they stand.
func (t *Tx) AllLanes(ctx context.Context) ([]Lane, error) { return t.lanes(ctx, "") }

func (t *Tx) lanes(ctx context.Context, rest string, args ...any) ([]Lane, error) {
	var out []Lane
	err := t.rows(ctx, "lanes", func(scan func(...any) error) error {
		var l Lane
		err := scan(&l.Number, &l.Owner, &l.Fence, &l.mark)
		out = append(out, l)
		return err
	}, `SELECT lane, owner, fence, mark FROM posting_lane `+rest+` ORDER BY lane`, args...)
	return out, err
}

// LanesOf are the lanes of a poster.
func (t *Tx) LanesOf(ctx context.Context, poster string) (Held, error) {
	all, err := t.lanes(ctx, `WHERE owner = ?`, poster)
	return Held{lanes: all}, err
}

// EveryLane is for whoever posts without being a poster that shares: it takes the records of all lanes, for as long as its transaction lasts.
func (t *Tx) EveryLane(ctx context.Context) (Held, error) {
	all, err := t.lanes(ctx, "")
	return Held{all, true}, err
}

// LanesThrough is EveryLane, of those lanes alone that have records which arrived on or before a clearing day: nobody waits for the posters of the others.
func (t *Tx) LanesThrough(ctx context.Context, day string) (Held, error) {
	all, err := t.lanes(ctx, `WHERE EXISTS (SELECT 1 FROM record_waiting w WHERE w.lane = posting_lane.lane AND w.day <= ?)`, day)
	return Held{all, true}, err
}

// in16 is a list of lanes for queries, one text whatever their number.
const in16 = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

func (h Held) args() []any {
	out := make([]any, Lanes)
	for i := range out {
		out[i] = h.lanes[min(i, len(h.lanes)-1)].Number
	}
	return out
}

// HoldLanes locks lanes until the transaction ends, if they are as they were when the records to be posted were read. A group of the transaction
// goes into the chain of the first of them. Errors: [ErrFenced], [ErrPostedMeanwhile].
func (t *Tx) HoldLanes(ctx context.Context, h Held) error {
	if len(h.lanes) == 0 {
		return fmt.Errorf("store: no lanes to post: %w", ErrFenced)
	}
	now, err := t.locked(ctx, h)
	if err != nil {
		return err
	}
	for i, was := range h.lanes {
		if now[i].mark != was.mark {
			return fmt.Errorf("store: lane %d: %w", was.Number, ErrPostedMeanwhile)
		}
	}
	t.lane = h.lanes[0].Number
	_, err = t.exec(ctx, "mark lanes", `UPDATE posting_lane SET mark = mark + 1 WHERE lane IN `+in16, h.args()...)
	return err
}

// KeepLanes locks lanes like HoldLanes, for what changes nothing if it comes too late. Error: [ErrFenced].
func (t *Tx) KeepLanes(ctx context.Context, h Held) error {
	_, err := t.locked(ctx, h)
	return err
}

func (t *Tx) locked(ctx context.Context, h Held) ([]Lane, error) {
	var now []Lane
	err := t.rows(ctx, "lock lanes", func(scan func(...any) error) error {
		var l Lane
		err := scan(&l.Number, &l.Owner, &l.Fence, &l.mark)
		now = append(now, l)
		return err
	}, `SELECT lane, owner, fence, mark FROM posting_lane WHERE lane IN `+in16+` ORDER BY lane`+t.dialect.forUpdate(), h.args()...)
	if err != nil {
		return nil, err
	}
	if len(now) != len(h.lanes) {
		return nil, fmt.Errorf("store: %d of %d lanes are there: the table posting_lane was changed", len(now), len(h.lanes))
	}
	for i, was := range h.lanes {
		if !h.any && (now[i].Fence != was.Fence || now[i].Owner != was.Owner) {
			return nil, fmt.Errorf("store: lane %d: %w", was.Number, ErrFenced)
		}
	}
	return now, nil
}

// markLane and lockLane are for a card's name: a Posting that gives it and a change that finds it missing take the lane of the alias, so that the second one sees the
// first or collides with it. It is nearly always a lane that they hold.
func (t *Tx) markLane(ctx context.Context, lane int) error {
	_, err := t.exec(ctx, "mark lane", `UPDATE posting_lane SET mark = mark + 1 WHERE lane = ?`, lane)
	return err
}

func (t *Tx) lockLane(ctx context.Context, lane int) error {
	var n int
	_, err := t.one(ctx, "lock lane", `SELECT lane FROM posting_lane WHERE lane = ?`+t.dialect.forUpdate(), []any{lane}, &n)
	return err
}

// PendingOf lists accepted records of lanes that are not posted, at most limit: each lane's oldest first, and the lanes in turn, beginning with one that
// the caller changes each time.
func (t *Tx) PendingOf(ctx context.Context, h Held, first, limit int) ([]Pending, error) {
	if len(h.lanes) == 0 {
		return nil, nil
	}
	if t.dialect == sqlite && h.any {
		return t.PendingRecords(ctx, limit) // one writer posts all: nothing is to be told apart
	}
	var waiting []int
	if err := t.rows(ctx, "lanes with records", func(scan func(...any) error) error {
		var n int
		err := scan(&n)
		waiting = append(waiting, n)
		return err
	}, `SELECT lane FROM posting_lane l WHERE lane IN `+in16+` AND EXISTS (SELECT 1 FROM record_waiting w WHERE w.lane = l.lane) ORDER BY lane`, h.args()...); err != nil {
		return nil, err
	}
	turn := slices.IndexFunc(waiting, func(n int) bool { return n >= first%Lanes })
	turn = max(turn, 0)
	var out []Pending
	for i := range waiting {
		if len(out) >= limit {
			break
		}
		some, err := t.pendingRecords(ctx, waiting[(turn+i)%len(waiting)], limit-len(out))
		if err != nil {
			return nil, err
		}
		if out == nil { // nearly always one lane has a group
			out = some
			continue
		}
		out = append(out, some...)
	}
	return out, nil
}

// Poster is a poster that runs, or did: one whose beat stands still is gone.
type Poster struct {
	ID   string
	Beat int64
}

// Posters lists them by id.
func (t *Tx) Posters(ctx context.Context) ([]Poster, error) {
	var out []Poster
	err := t.rows(ctx, "posters", func(scan func(...any) error) error {
		var p Poster
		err := scan(&p.ID, &p.Beat)
		out = append(out, p)
		return err
	}, `SELECT id, beat FROM poster ORDER BY id`)
	return out, err
}

// BeatPoster says that a poster runs.
func (t *Tx) BeatPoster(ctx context.Context, id string) error {
	_, err := t.exec(ctx, "beat of poster", `INSERT INTO poster (id, beat) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET beat = poster.beat + 1`, id)
	return err
}

// DropPoster forgets a poster whose beat still stands where the caller saw it.
func (t *Tx) DropPoster(ctx context.Context, p Poster) error {
	_, err := t.exec(ctx, "drop poster", `DELETE FROM poster WHERE id = ? AND beat = ?`, p.ID, p.Beat)
	return err
}

// GiveLane gives a lane to another poster, "" for none, if it is still as the caller saw it.
func (t *Tx) GiveLane(ctx context.Context, l Lane, to string) error {
	_, err := t.exec(ctx, "give lane", `UPDATE posting_lane SET owner = ?, fence = fence + 1 WHERE lane = ? AND owner = ? AND fence = ?`, to, l.Number, l.Owner, l.Fence)
	return err
}

// LeavePosting ends a poster: its lanes are free.
func (t *Tx) LeavePosting(ctx context.Context, id string) error {
	if _, err := t.exec(ctx, "free lanes", `UPDATE posting_lane SET owner = '', fence = fence + 1 WHERE owner = ?`, id); err != nil {
		return err
	}
	_, err := t.exec(ctx, "leave", `DELETE FROM poster WHERE id = ?`, id)
	return err
}
