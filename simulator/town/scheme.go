package town

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount/fee"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/journal"
	"github.com/purselane/purselane/terminal/tap"
)

// The scheme is the same in every town, so that its database is made once a process; what differs by seed is what happens.

var (
	issuer   = ep.Factor{0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF}
	tokenKey = []byte("the town's tokens")
	masters  = personalise.Masters{
		{Purpose: keys.Purchase, Version: 1}: {0x11, 0x22, 0x33, 8: 0x44},
		{Purpose: keys.Load, Version: 1}:     {0x55, 0x66, 0x77, 8: 0x88},
		{Purpose: keys.TAC, Version: 1}:      {0x99, 0xAA, 0xBB, 8: 0xCC},
	}
	receiptKey = signingKey("backend")
)

// signingKey is a device's key, made of its name.
func signingKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("town key of " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// agent sells the loads of all kiosks.
const agent ids.AcquirerID = "kiosks"

// merchants and who settles for them.
var merchants = []store.Merchant{
	{ID: "line7", Acquirer: "transit"}, {ID: "line12", Acquirer: "transit"}, {ID: "metro", Acquirer: "transit"}, {ID: "shop", Acquirer: "retail"},
}

// place is where terminals that sell the same thing stand: two doors of a bus, the gates of a station, two tills.
type place struct {
	name      string
	merchant  ids.MerchantID
	mode      tap.Mode // of a station: MetroEntry, and its gates let out too
	line      fare.Code
	station   fare.Code
	terminals []int
}

// places of every town. Two terminals each, so that a torn tap can come back at the other one.
func places() []place {
	bus := func(name string, m ids.MerchantID, line byte) place {
		return place{name: name, merchant: m, mode: tap.BusFlat, line: fare.Code{0, line}}
	}
	station := func(name string, n byte) place {
		return place{name: name, merchant: "metro", mode: tap.MetroEntry, line: fare.Code{0, 1}, station: fare.Code{1, n}}
	}
	all := []place{
		bus("bus7", "line7", 0x07), bus("bus12", "line12", 0x12), station("harbour", 1), station("market", 2), station("airport", 5),
		{name: "shop", merchant: "shop", mode: tap.Sale},
	}
	n := 0
	for i := range all {
		for range terminalsPerPlace {
			all[i].terminals = append(all[i].terminals, n)
			n++
		}
	}
	return all
}

// exitLane is the lane of a gate that lets out; lane 0 lets in, and is the only one elsewhere.
const exitLane = 1

func (p *place) lanes() []edge.Lane {
	all := []edge.Lane{{Mode: p.mode, Line: p.line, Station: p.station}}
	if p.mode == tap.MetroEntry {
		all = append(all, edge.Lane{Mode: tap.MetroExit, Line: p.line, Station: p.station})
	}
	return all
}

const (
	terminalsPerPlace = 2
	riders            = 14
	kiosks            = 2
)

func terminalID(p place, nth int) ids.TerminalID {
	return ids.TerminalID(fmt.Sprintf("%s-%d", p.name, nth+1))
}

func terminalNumber(n int) ep.TerminalNumber { return ep.TerminalNumber{0x10, 5: byte(n + 1)} }
func kioskNumber(n int) ep.TerminalNumber    { return ep.TerminalNumber{0x20, 5: byte(n + 1)} }
func cardNumber(n int) ids.CardNumber {
	return ids.CardNumber{0x31, 0x04, 0x10, 0x00, 0, 0, 0, 0, 0x10, byte(n/10)<<4 | byte(n%10)}
}

// emptyBackend is the database of a scheme that is set up and has seen no record yet.
var emptyBackend = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "town")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "empty.db")
	ctx := context.Background()
	s, err := store.Open(ctx, path, store.Options{NoSync: true})
	if err != nil {
		return nil, err
	}
	if err := s.Update(ctx, func(tx *store.Tx) error { return register(ctx, tx) }); err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// emptyJournals are the journals of terminals that have sold nothing yet. A new journal is synced to the disk several times,
// which takes longer than the rest of a small town; so each is made once a process. What stands beside their trees is all of one kind.
var emptyJournals = sync.OnceValues(func() (map[ids.TerminalID]journalFiles, error) {
	dir, err := os.MkdirTemp("", "town")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	all := map[ids.TerminalID]journalFiles{}
	for _, p := range places() {
		for nth := range p.terminals {
			id := terminalID(p, nth)
			path := filepath.Join(dir, string(id))
			epoch := sha256.Sum256([]byte("town epoch of " + id))
			j, err := journal.Open(path, journal.Options{Terminal: id, NoSync: true, Rand: bytes.NewReader(epoch[:])})
			if err != nil {
				return nil, err
			}
			if err := j.Close(); err != nil {
				return nil, err
			}
			if all[id], err = readJournal(path); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
})

// journalFiles are a journal's tree and the places beside it.
type journalFiles struct{ tree, places []byte }

func readJournal(path string) (f journalFiles, err error) {
	if f.tree, err = os.ReadFile(path); err != nil {
		return f, err
	}
	f.places, err = os.ReadFile(journal.PlacesPath(path))
	return f, err
}

func (f journalFiles) write(path string) error {
	return errors.Join(os.WriteFile(path, f.tree, 0o600), os.WriteFile(journal.PlacesPath(path), f.places, 0o600))
}

func register(ctx context.Context, tx *store.Tx) error {
	fees, err := json.Marshal([]fee.Standard{fee.Percent("standard", "service", 6_000)})
	if err != nil {
		return err
	}
	for _, a := range []ids.AcquirerID{"transit", "retail", agent} {
		if err := tx.PutAcquirer(ctx, store.Acquirer{ID: a, Name: string(a), Fees: string(fees)}); err != nil {
			return err
		}
	}
	for _, m := range merchants {
		if err := tx.PutMerchant(ctx, m); err != nil {
			return err
		}
	}
	for _, p := range places() {
		for nth, n := range p.terminals {
			id := terminalID(p, nth)
			if err := tx.PutTerminal(ctx, store.Terminal{ID: id, Merchant: p.merchant, PSAMs: [][6]byte{terminalNumber(n)},
				PublicKey: signingKey(string(id)).Public().(ed25519.PublicKey), Active: true, Place: p.name}); err != nil {
				return err
			}
		}
	}
	for n := range riders {
		number := cardNumber(n)
		if err := tx.IssueCard(ctx, store.Card{Number: number, Token: store.Token(tokenKey, number), Issuer: issuer, Levels: 2}); err != nil {
			return err
		}
	}
	return nil
}
