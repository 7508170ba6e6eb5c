package identity

import (
	"container/list"
	"time"
)

// memory remembers answers by a hash of who was asked about; of too many the one that was asked for longest ago is forgotten.
type memory struct {
	most  int
	byKey map[hash]*list.Element
	used  *list.List // the last used first
}

type hash [32]byte

type remembered struct {
	key    hash
	answer Answer
	until  time.Time
}

func newMemory(most int) *memory {
	return &memory{most: most, byKey: map[hash]*list.Element{}, used: list.New()}
}

func (m *memory) get(key hash, now time.Time) (Answer, bool) {
	e, known := m.byKey[key]
	if !known {
		return 0, false
	}
	r := e.Value.(remembered)
	if !now.Before(r.until) {
		m.drop(e)
		return 0, false
	}
	m.used.MoveToFront(e)
	return r.answer, true
}

func (m *memory) put(r remembered, now time.Time) {
	if e, known := m.byKey[r.key]; known {
		m.drop(e)
	}
	if m.most == 0 || !r.until.After(now) {
		return
	}
	m.byKey[r.key] = m.used.PushFront(r)
	if m.used.Len() > m.most {
		m.drop(m.used.Back())
	}
}

func (m *memory) drop(e *list.Element) {
	delete(m.byKey, e.Value.(remembered).key)
	m.used.Remove(e)
}
