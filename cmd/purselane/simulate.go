package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/card/ep"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/simulator/epcard"
	"github.com/purselane/purselane/simulator/personalise"
	"github.com/purselane/purselane/simulator/psam"
	"github.com/purselane/purselane/simulator/vpcd"
)

// SimulateCmd are the commands that stand in for hardware, and for what is somebody else's.
type SimulateCmd struct {
	Card     SimulateCardCmd     `cmd:"" help:"Be a card of any family in a virtual reader (vpcd, or a terminal's socket reader), or at an emulated PN532."`
	PSAM     SimulatePSAMCmd     `cmd:"" name:"psam" help:"Be a PSAM in a virtual reader. Its keys lie in a plain file: for development."`
	Channels SimulateChannelsCmd `cmd:"" help:"Be the payment channels of a scheme, and the payers: at one page somebody pays QR codes and breaks channels."`
}

// masterKeys says where a new chip's keys come from.
type masterKeys struct {
	TestKeys bool `help:"With --new: use well-known test keys (40..4F purchase, 50..5F load, 60..6F TAC)."`
}

// masters returns the master keys that the flags name.
func (m masterKeys) masters() (personalise.Masters, error) {
	if !m.TestKeys {
		return nil, errors.New("--new wants --test-keys")
	}
	return testKeys(), nil
}

// testKeys are master keys that everyone knows. A chip made with them can be told by anyone from one of a true scheme.
func testKeys() personalise.Masters {
	out := personalise.Masters{}
	for purpose, first := range map[keys.Purpose]byte{keys.Purchase: 0x40, keys.Load: 0x50, keys.TAC: 0x60, keys.Maintenance: 0x90} {
		var k keys.Key
		for i := range k {
			k[i] = first + byte(i)
		}
		out[keys.ID{Purpose: purpose, Version: 1}] = k
	}
	return out
}

// SimulateCardCmd is `purselane simulate card`.
type SimulateCardCmd struct {
	File    string `required:"" placeholder:"FILE" type:"path" help:"The card's memory; it keeps its balance between runs."`
	Connect string `default:"127.0.0.1:35963" help:"Virtual reader to plug into. pcscd's first slot is port 35963."`
	PN532   string `name:"pn532" placeholder:"LINK" type:"path" help:"Be at an emulated PN532 on a pseudo terminal instead: LINK becomes a link to it, for a lane of kind pn532."`
	New     bool   `help:"Make the file first, for a new EP card with no money on it. (purselane card issue makes cards of a scheme, of all families.)"`
	masterKeys
	Number string `placeholder:"DIGITS" help:"With --new: card number, 20 digits."`
	Issuer string `default:"01011000FFFFFFFF" help:"With --new: issuer, 16 hexadecimal digits."`
	Family string `enum:"tunion,pboc" default:"tunion" help:"With --new: card family, tunion or pboc."`
	Levels int    `default:"0" help:"With --new: key diversification levels, 1 or 2. 0: what the family does."`
	Kind   byte   `default:"1" help:"With --new: 1 normal, 2 student, 3 senior."`

	Profile string `placeholder:"FILE" type:"path" help:"With --new: a profile that says what the scheme's cards are, in the place of --family and --levels."`
}

// Run serves the card until ctx ends.
func (c *SimulateCardCmd) Run(ctx context.Context, k *kong.Kong) error {
	card, err := c.open()
	if err != nil {
		return err
	}
	defer card.Close()
	if c.PN532 != "" {
		return servePN532(ctx, card, c.PN532, os.Stdin, k.Stdout)
	}
	tell(k.Stdout, card, c.Connect)
	err = vpcd.Slot{Addr: c.Connect, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}.Run(ctx, card)
	tell(k.Stdout, card, "")
	return err
}

// tell prints where the card is and what is on it. The number is masked.
func tell(out io.Writer, card chip, slot string) {
	where := "taken out"
	if slot != "" {
		where = "for the reader at " + slot
	}
	fmt.Fprintf(out, "%s (%s)\n", card.tells(), where)
}

func (c *SimulateCardCmd) open() (chip, error) {
	if !c.New {
		card, err := openChip(c.File)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w; --new makes a card without a scheme", err)
		}
		return card, err
	}
	masters, err := c.masters()
	if err != nil {
		return nil, err
	}
	number, err := ids.ParseCardNumber(c.Number)
	if err != nil {
		return nil, fmt.Errorf("--number: %w", err)
	}
	issuer, err := parseIssuer(c.Issuer)
	if err != nil {
		return nil, err
	}
	spec := personalise.CardSpec{
		Family: personalise.Family(c.Family), Number: number, Issuer: issuer, Kind: c.Kind,
		Keys: personalise.Keys{Levels: c.Levels},
	}
	if c.Profile != "" {
		p, _, err := profileFile{File: c.Profile}.open()
		if err != nil {
			return nil, err
		}
		if spec, err = spec.For(p.Card); err != nil {
			return nil, err
		}
	}
	img, err := personalise.Card(masters, spec)
	if err != nil {
		return nil, err
	}
	card, err := epcard.CreateFile(c.File, img, rand.Reader)
	return epChip{card}, err
}

func parseIssuer(s string) (ep.Factor, error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 8 {
		return ep.Factor{}, fmt.Errorf("--issuer %q: want 16 hexadecimal digits", s)
	}
	return ep.Factor(raw), nil
}

// SimulatePSAMCmd is `purselane simulate psam`.
type SimulatePSAMCmd struct {
	File    string `required:"" placeholder:"FILE" type:"path" help:"The PSAM's memory; it keeps its serial between runs."`
	Connect string `default:"127.0.0.1:35964" help:"Virtual reader to plug into. pcscd's second slot is port 35964."`
	New     bool   `help:"Make the file first, for a new PSAM."`
	masterKeys
	Terminal string `placeholder:"DIGITS" help:"With --new: terminal number, 12 hexadecimal digits."`
	Issuer   string `default:"01011000FFFFFFFF" help:"With --new: issuer, 16 hexadecimal digits."`
	Serial   uint32 `default:"1" help:"With --new: first terminal transaction serial. For a terminal number that had a PSAM before: higher than any it used."`

	Profile string `placeholder:"FILE" type:"path" help:"With --new: a profile that names the PSAM's application (card.variant.psam_application)."`
}

// Run serves the PSAM until ctx ends.
func (c *SimulatePSAMCmd) Run(ctx context.Context, k *kong.Kong) error {
	sam, err := c.open()
	if err != nil {
		return err
	}
	defer sam.Close()
	fmt.Fprintf(k.Stdout, "SIMULATED %v for the reader at %s: master keys in a plain file, for development only\n", sam.Image(), c.Connect)
	return vpcd.Slot{Addr: c.Connect, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}.Run(ctx, sam)
}

func (c *SimulatePSAMCmd) open() (*psam.PSAM, error) {
	if !c.New {
		sam, err := psam.OpenFile(c.File)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w (--new makes a PSAM)", err)
		}
		return sam, err
	}
	masters, err := c.masters()
	if err != nil {
		return nil, err
	}
	issuer, err := parseIssuer(c.Issuer)
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(c.Terminal)
	if err != nil || len(raw) != 6 {
		return nil, fmt.Errorf("--terminal %q: want 12 hexadecimal digits", c.Terminal)
	}
	spec := personalise.PSAMSpec{Terminal: ep.TerminalNumber(raw), Issuer: issuer, NextSerial: c.Serial}
	if c.Profile != "" {
		p, _, err := profileFile{File: c.Profile}.open()
		if err != nil {
			return nil, err
		}
		spec.Application, spec.SM4Algorithm = p.Card.Variant.Application, p.Card.Variant.SM4Algorithm[0]
	}
	img, err := personalise.PSAM(masters, spec)
	if err != nil {
		return nil, err
	}
	return psam.CreateFile(c.File, img)
}
