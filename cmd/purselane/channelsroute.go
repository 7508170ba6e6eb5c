package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/gateway"
	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/route"
	"github.com/purselane/purselane/backend/gateway/selfheal"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/internal/clock"
	"github.com/purselane/purselane/internal/money"
)

// fallbackFile is the signed file that a running backend writes. With File and Key nothing else of the scheme is needed: no database and no secret.
type fallbackFile struct {
	Dir            string `placeholder:"FOLDER" type:"path" help:"The scheme's folder. It is not needed where --file and --key are given."`
	PassphraseFile string `xor:"lock" placeholder:"FILE" type:"path" help:"File with the key file's passphrase."`
	IdentityFile   string `xor:"lock" placeholder:"FILE" type:"path" help:"File with the key file's age identity. Default: keys.identity in the folder."`
	File           string `placeholder:"FILE" type:"path" help:"The fall-back file. Default: the one in the folder's data."`
	Key            string `placeholder:"HEX" help:"The public key that it is signed by, as channels fallback prints it. Default: the scheme's."`
}

// read verifies the file and returns it with the key.
func (f fallbackFile) read(now time.Time) (route.Fallback, ed25519.PublicKey, error) {
	if f.Dir == "" && (f.File == "" || f.Key == "") {
		return route.Fallback{}, nil, errors.New("want --dir, or --file with --key")
	}
	key, err := f.key()
	if err != nil {
		return route.Fallback{}, nil, err
	}
	path := f.File
	if path == "" {
		path = node.FallbackPath(schemeFolder{Dir: f.Dir}.path(folderData))
	}
	file, err := selfheal.ReadFallback(path, key, now)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil, fmt.Errorf("%w: `purselane serve` with a gateway writes it every ten seconds", err)
	}
	return file, key, err
}

func (f fallbackFile) key() (ed25519.PublicKey, error) {
	if f.Key != "" {
		key, err := hex.DecodeString(f.Key)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("--key: want %d hexadecimal digits, as channels fallback prints them", 2*ed25519.PublicKeySize)
		}
		return key, nil
	}
	ring, err := schemeFolder{Dir: f.Dir, PassphraseFile: f.PassphraseFile, IdentityFile: f.IdentityFile}.ring()
	if err != nil {
		return nil, err
	}
	secret, err := ring.Secret(keys.SecretToken, 32)
	if err != nil {
		return nil, err
	}
	return node.RouteKey(secret).Public().(ed25519.PublicKey), nil
}

// printAge tells how stale a file is.
func printAge(p *printer, f route.Fallback, now time.Time) {
	p.line("written %s, %v ago; routing plan %d", f.At.UTC().Format(time.RFC3339), max(now.Sub(f.At), 0).Round(time.Second), f.Plan.Version)
}

// ChannelsFallbackCmd is `purselane channels fallback`.
type ChannelsFallbackCmd struct {
	fallbackFile
}

// Run shows the file.
func (c *ChannelsFallbackCmd) Run(k *kong.Kong) error {
	at := now()
	f, key, err := c.read(at)
	if err != nil {
		return err
	}
	p := &printer{out: k.Stdout}
	printAge(p, f, at)
	p.line("signed by %x", []byte(key))
	if len(f.Out) == 0 {
		p.line("every channel takes all of its payments")
	}
	for _, o := range f.Out {
		p.line("%v  takes %.0f %% of its payments", o.Cell(), 100*o.Share)
	}
	return p.err
}

// ChannelsRouteCmd is `purselane channels route`.
type ChannelsRouteCmd struct {
	fallbackFile
	Product  string       `required:"" help:"As the apps name it, such as qr."`
	Currency string       `default:"CNY" help:"Three letters."`
	Amount   money.Amount `required:"" help:"Such as 12.50."`
	Bank     string       `help:"The payer's bank, where one was chosen."`
	App      string       `help:"The app that asks."`
	Order    string       `help:"The order: where chance draws, it draws by it."`
}

// Run decides.
func (c *ChannelsRouteCmd) Run(k *kong.Kong) error {
	at := now()
	f, _, err := c.read(at)
	if err != nil {
		return err
	}
	x, err := selfheal.Offline(f, clock.System{})
	if err != nil {
		return err
	}
	why, err := x.Explain(gateway.Wanted{Product: channel.Product(c.Product), Money: channel.Money{Amount: c.Amount, Currency: c.Currency}, Bank: c.Bank, App: c.App, Order: c.Order})
	if err != nil {
		return err
	}
	p := &printer{out: k.Stdout}
	printAge(p, f, at)
	printReasons(p, why)
	return p.err
}

// printReasons tells of each account why it may take a payment or not, the chosen one first.
func printReasons(p *printer, why []route.Reason) {
	if len(why) == 0 {
		p.line("no rule fits: nobody can take it")
		return
	}
	for _, r := range why {
		place := "  -"
		if r.Place > 0 {
			place = fmt.Sprintf("%2d.", r.Place)
		}
		p.line("%s %-12s %-13s rule %s; success %.1f %% (%.1f to %.1f) of about %d payments, fee %v, takes %.0f %%", place, r.Account, r.Verdict, r.Rule, 100*r.Success, 100*r.Lo, 100*r.Hi, r.Seen,
			money.Minor(r.Fee), 100*r.Share)
	}
	p.line("success in brackets is sure to 95 %%")
}
