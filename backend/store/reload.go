package store

import (
	"context"
	"time"
)

// ReloadAnswer is what one process made of being asked to read its configuration anew.
type ReloadAnswer struct {
	Process string
	Why     string // nothing was taken over; "": it was
	At      time.Time
}

// AskReload asks every running process to read its configuration anew.
func (t *Tx) AskReload(ctx context.Context, id, by string, at time.Time) error {
	_, err := t.exec(ctx, "ask for a reload", `INSERT INTO reload_asked (id, by, at_ms) VALUES (?, ?, ?)`, id, by, at.UnixMilli())
	return err
}

// LastReload is the newest that was asked for and by whom, "" for none.
func (t *Tx) LastReload(ctx context.Context) (id, by string, err error) {
	_, err = t.one(ctx, "last reload", `SELECT id, by FROM reload_asked ORDER BY at_ms DESC, id DESC LIMIT 1`, nil, &id, &by)
	return id, by, err
}

// AnswerReload writes what a process made of it. Its first answer stays.
func (t *Tx) AnswerReload(ctx context.Context, id string, a ReloadAnswer) error {
	_, err := t.exec(ctx, "answer a reload", `INSERT INTO reload_answer (id, process, why, at_ms) VALUES (?, ?, ?, ?) ON CONFLICT (id, process) DO NOTHING`, id, a.Process, a.Why, a.At.UnixMilli())
	return err
}

// ReloadAnswers lists what processes answered, by process.
func (t *Tx) ReloadAnswers(ctx context.Context, id string) ([]ReloadAnswer, error) {
	var out []ReloadAnswer
	err := t.rows(ctx, "answers to a reload", func(scan func(...any) error) error {
		var a ReloadAnswer
		var at int64
		err := scan(&a.Process, &a.Why, &at)
		a.At = time.UnixMilli(at)
		out = append(out, a)
		return err
	}, `SELECT process, why, at_ms FROM reload_answer WHERE id = ? ORDER BY process`, id)
	return out, err
}
