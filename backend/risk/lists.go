package risk

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ListFile is one version of who is denied or allowed.
type ListFile struct {
	Form    int     `json:"form"` // 1
	Version int     `json:"version"`
	Entries []Entry `json:"entries"`
}

// Entry is one who is denied or allowed.
type Entry struct {
	Kind  Kind   `json:"kind"`
	ID    ID     `json:"id"`
	Is    string `json:"is"`              // denied or allowed
	Until int64  `json:"until,omitempty"` // Unix s; 0: for good
	Why   string `json:"why"`             // for people who ask
}

// What an entry is.
const (
	Denied  = "denied"
	Allowed = "allowed"
)

// ErrLists says that lists cannot be used.
var ErrLists = errors.New("bad risk lists")

// Lists are a version of the lists, ready to be asked. They do not change. The zero value knows nobody.
type Lists struct {
	version int
	entries map[listKey]Entry
}

type listKey struct {
	kind Kind
	id   ID
}

// NewLists checks lists. Nobody may stand in them twice. Error: [ErrLists] with the entry.
func NewLists(f ListFile) (*Lists, error) {
	if f.Form != 1 || f.Version < 1 {
		return nil, fmt.Errorf("%w: form %d, version %d: want form 1 and a version above zero", ErrLists, f.Form, f.Version)
	}
	l := &Lists{version: f.Version, entries: make(map[listKey]Entry, len(f.Entries))}
	for i, e := range f.Entries {
		k := listKey{e.Kind, e.ID}
		_, twice := l.entries[k]
		switch {
		case !slices.Contains(Kinds, e.Kind):
			return nil, fmt.Errorf("%w: entry %d: the kind is not payer, device, card or merchant", ErrLists, i+1)
		case e.ID == ID{}:
			return nil, fmt.Errorf("%w: entry %d: has no ID", ErrLists, i+1)
		case twice:
			return nil, fmt.Errorf("%w: entry %d: %s %v stands there twice", ErrLists, i+1, e.Kind, e.ID)
		case e.Is != Denied && e.Is != Allowed:
			return nil, fmt.Errorf("%w: entry %d: is neither denied nor allowed", ErrLists, i+1)
		case e.Until < 0 || e.Why == "" || len(e.Why) > maxText:
			return nil, fmt.Errorf("%w: entry %d: wants a reason of 1 to %d bytes, and an end that is not below zero", ErrLists, i+1, maxText)
		}
		l.entries[k] = e
	}
	return l, nil
}

// ParseLists reads lists from JSON. Error: [ErrLists].
func ParseLists(file []byte) (*Lists, error) {
	var f ListFile
	if err := decode(file, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLists, err)
	}
	return NewLists(f)
}

// Version is that of the lists.
func (l *Lists) Version() int { return l.version }

// Ask says denied, allowed or "" of one, at a time.
func (l *Lists) Ask(kind Kind, id ID, now time.Time) string {
	e, known := l.entries[listKey{kind, id}]
	if !known || e.Until > 0 && now.Unix() >= e.Until {
		return ""
	}
	return e.Is
}

// Fill sets what the lists say of those who take part in a payment.
func (l *Lists) Fill(f *Facts, e Event, now time.Time) {
	f.PayerList, f.DeviceList = l.Ask(Payer, e.Payer, now), l.Ask(Device, e.Device, now)
	f.CardList, f.MerchantList = l.Ask(CardOf, e.Card, now), l.Ask(Merchant, e.Merchant, now)
}
