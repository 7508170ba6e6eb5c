package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/internal/money"
)

// digits prints bytes whose meaning is the city's or the issuer's own.
func digits(raw []byte) string { return strings.ToUpper(hex.EncodeToString(raw)) }

// purseTime prints a purse's date and time, which have no zone; digits where they are none.
func purseTime(at ep.DateTime) string {
	t, err := at.Time(time.UTC)
	if err != nil {
		return digits(at[:])
	}
	return t.Format(time.DateTime)
}

// shownNumber is the card number as the command may show it.
func shownNumber(n ids.CardNumber, reveal bool) string {
	if reveal {
		return n.Reveal()
	}
	return n.String()
}

// selectPurse selects whichever purse the card has, T-Union's before PBOC's.
func selectPurse(ctx context.Context, t apdu.Transmitter) (card *ep.Card, fci ep.FCI, err error) {
	for _, aid := range [][]byte{ep.AIDTUnion, ep.AIDPBOC} {
		card, fci, err = ep.Select(ctx, t, aid)
		if !errors.Is(err, ep.ErrNoPurse) {
			break
		}
	}
	return card, fci, err
}

// cardSays reports that an error is what the card answered: something of it cannot be read. Any other error ends the command.
func cardSays(err error) bool {
	var status *ep.StatusError
	return errors.As(err, &status) || errors.Is(err, ep.ErrMalformed)
}

// unread says which parts of a card cannot be read, and why.
type unread map[string]string

// note reports whether the command ends with err; what the card refused is noted and the rest is read.
func (u unread) note(part string, err error) error {
	if err == nil || !cardSays(err) {
		return err
	}
	u[part] = err.Error()
	return nil
}

// CardReadCmd is `purselane card read`.
type CardReadCmd struct {
	cardTool
	Counters bool `help:"Ask for the counters too, by an INITIALIZE of the smallest amount. It costs the card nothing, and ends a transaction that was begun on it."`
	KeyIndex byte `default:"1" help:"With --counters: index of the purchase and load keys."`
}

// cardRead is what a card says of itself.
type cardRead struct {
	AID        string          `json:"aid"`
	Version    string          `json:"fci_version,omitempty"`
	FCIPublic  string          `json:"fci_public,omitempty"` // "absent", "same as EF 15", "differs from EF 15", or "not compared"
	Public     *readPublic     `json:"ef15,omitempty"`
	Holder     *readHolder     `json:"ef16,omitempty"`
	Management *readManagement `json:"ef17,omitempty"`
	Balance    *money.Amount   `json:"balance,omitempty"`
	Counters   *readCounters   `json:"counters,omitempty"`
	Metro      *metroState     `json:"metro_trip,omitempty"`
	Bus        *busState       `json:"bus_trip,omitempty"`
	EC         *readEC         `json:"electronic_cash,omitempty"` // in the place of all but aid and unread
	Unread     unread          `json:"unread,omitempty"`
}

type readPublic struct {
	Number  string `json:"card_number"`
	Issuer  string `json:"issuer"`
	AppType string `json:"application_type"`
	Version string `json:"application_version"`
	Start   string `json:"start"`
	Expiry  string `json:"expiry"`
	FCIData string `json:"fci_data"`
}

// readHolder leaves name and identity number out unless they are to be revealed.
type readHolder struct {
	CardType string `json:"card_type"`
	Staff    string `json:"staff"`
	Name     string `json:"name_bytes,omitempty"`
	IDNumber string `json:"id_number_bytes,omitempty"`
	IDType   string `json:"id_type"`
}

type readManagement struct {
	Country      string `json:"country"`
	Province     string `json:"province"`
	City         string `json:"city"`
	Interconnect bool   `json:"interconnect"`
	Kind         string `json:"kind"`
	Reserved     string `json:"reserved"`
}

type readCounters struct {
	Offline         *uint16       `json:"offline,omitempty"`
	Overdraft       *money.Amount `json:"overdraft_limit,omitempty"`
	PurchaseVersion string        `json:"purchase_key_version,omitempty"`
	PurchaseAlg     string        `json:"purchase_algorithm,omitempty"`
	Online          *uint16       `json:"online,omitempty"`
	LoadVersion     string        `json:"load_key_version,omitempty"`
	LoadAlg         string        `json:"load_algorithm,omitempty"`
}

// Run reads the card.
func (c *CardReadCmd) Run(ctx context.Context, k *kong.Kong) error {
	var r cardRead
	if err := c.meet(ctx, func(ctx context.Context, t apdu.Transmitter) (err error) {
		r, err = c.read(ctx, t)
		return err
	}); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(k.Stdout).Encode(r)
	}
	return r.print(k.Stdout)
}

func (c *CardReadCmd) read(ctx context.Context, t apdu.Transmitter) (cardRead, error) {
	card, fci, err := selectPurse(ctx, t)
	if noPurse(err) {
		cash, err := c.selectEC(ctx, t, err)
		if err != nil {
			return cardRead{}, err
		}
		return c.readCash(ctx, cash)
	}
	if err != nil {
		return cardRead{}, err
	}
	r := cardRead{AID: digits(fci.Name), Version: digits(fci.Version), FCIPublic: "absent", Unread: unread{}}
	public, err := card.ReadPublic(ctx)
	if err := r.Unread.note("EF 15", err); err != nil {
		return r, err
	}
	if err == nil {
		r.Public = &readPublic{shownNumber(public.CardNumber, c.Reveal), digits(public.Issuer[:]), digits([]byte{public.AppType}), digits([]byte{public.Version}),
			digits(public.Start[:]), digits(public.Expiry[:]), digits(public.FCIData[:])}
	}
	switch {
	case len(fci.Public) == 0:
	case r.Public == nil:
		r.FCIPublic = "not compared"
	case bytes.HasPrefix(fci.Public, public.Bytes()):
		r.FCIPublic = "same as EF 15"
	default:
		r.FCIPublic = "differs from EF 15"
	}
	holder, err := card.ReadHolder(ctx)
	if err := r.Unread.note("EF 16", err); err != nil {
		return r, err
	}
	if err == nil {
		r.Holder = &readHolder{CardType: digits([]byte{holder.CardType}), Staff: digits([]byte{holder.Staff}), IDType: digits([]byte{holder.IDType})}
		if c.Reveal {
			r.Holder.Name, r.Holder.IDNumber = digits(holder.Name[:]), digits(holder.IDNumber)
		}
	}
	m, err := card.ReadManagement(ctx)
	if err := r.Unread.note("EF 17", err); err != nil {
		return r, err
	}
	if err == nil {
		r.Management = &readManagement{digits(m.Country[:]), digits(m.Province[:]), digits(m.City[:]), m.Interconnect, named(cardKinds, m.Kind), digits(m.Reserved[:])}
	}
	balance, err := card.Balance(ctx)
	if err := r.Unread.note("balance", err); err != nil {
		return r, err
	}
	if err == nil {
		r.Balance = &balance
	}
	if r.Metro, r.Bus, err = readStates(ctx, card, r.Unread); err != nil {
		return r, err
	}
	if c.Counters {
		r.Counters, err = c.counters(ctx, card, r.Unread)
	}
	return r, err
}

// smallestLoad is what readers in the field ask the online counter with (purse facts 3.6); a composite purchase may be of nothing
// (3.5), so that an empty card tells its offline counter too.
var smallestLoad = money.Minor(1)

// counters asks for both counters. It comes last: nothing is selected or read behind it.
func (c *CardReadCmd) counters(ctx context.Context, card *ep.Card, u unread) (*readCounters, error) {
	out := &readCounters{}
	p, err := card.InitPurchase(ctx, ep.TypeComposite, c.KeyIndex, money.Amount{}, ep.TerminalNumber{})
	if err := u.note("offline counter", err); err != nil {
		return nil, err
	}
	if err == nil {
		limit := money.Minor(int64(p.Overdraft))
		out.Offline, out.Overdraft, out.PurchaseVersion, out.PurchaseAlg = &p.Counter, &limit, digits([]byte{p.Version}), digits([]byte{p.Algorithm})
	}
	l, err := card.InitLoad(ctx, c.KeyIndex, smallestLoad, ep.TerminalNumber{})
	if err := u.note("online counter", err); err != nil {
		return nil, err
	}
	if err == nil {
		out.Online, out.LoadVersion, out.LoadAlg = &l.Counter, digits([]byte{l.Version}), digits([]byte{l.Algorithm})
	}
	return out, nil
}

// cardKinds are the kinds of EF 17 byte 10 (purse facts 2.4).
var cardKinds = map[byte]string{1: "normal", 2: "student", 3: "senior", 4: "test", 5: "military"}

// named prints a byte with its meaning, alone where it has none that is known.
func named(names map[byte]string, b byte) string {
	if name, ok := names[b]; ok {
		return fmt.Sprintf("%02X %s", b, name)
	}
	return fmt.Sprintf("%02X", b)
}

func (r cardRead) print(out io.Writer) error {
	p := &printer{out: out}
	if r.EC != nil {
		p.line("application %s", r.AID)
		r.EC.print(p)
		r.Unread.print(p)
		return p.err
	}
	p.line("application %s, version %s; EF 15 in its FCI: %s", r.AID, r.Version, r.FCIPublic)
	if e := r.Public; e != nil {
		p.line("EF 15  card %s, issuer %s, valid %s to %s, type %s, version %s, FCI data %s", e.Number, e.Issuer, e.Start, e.Expiry, e.AppType, e.Version, e.FCIData)
	}
	if h := r.Holder; h != nil {
		p.line("EF 16  card type %s, staff %s, identity document %s", h.CardType, h.Staff, h.IDType)
		if h.Name != "" {
			p.line("       name %s, number %s", h.Name, h.IDNumber)
		}
	}
	if m := r.Management; m != nil {
		p.line("EF 17  country %s, province %s, city %s, interconnect %t, kind %s, reserved %s", m.Country, m.Province, m.City, m.Interconnect, m.Kind, m.Reserved)
	}
	if r.Balance != nil {
		p.line("balance %v", *r.Balance)
	}
	if c := r.Counters; c != nil {
		if c.Offline != nil {
			p.line("offline counter %d, overdraft limit %v, purchase key version %s, algorithm %s", *c.Offline, *c.Overdraft, c.PurchaseVersion, c.PurchaseAlg)
		}
		if c.Online != nil {
			p.line("online counter %d, load key version %s, algorithm %s", *c.Online, c.LoadVersion, c.LoadAlg)
		}
	}
	printStates(p, r.Metro, r.Bus)
	r.Unread.print(p)
	return p.err
}

// print lists what could not be read, in one order.
func (u unread) print(p *printer) {
	for _, part := range sortedKeys(u) {
		p.line("%s: not read: %s", part, u[part])
	}
}
