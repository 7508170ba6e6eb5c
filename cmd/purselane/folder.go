package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/shadowaccount/calendar"
)

// Files of a scheme's folder; docs/scheme.md lists them.
const (
	fileScheme   = "scheme.yaml"
	fileKeys     = "keys.sealed"
	fileIdentity = "keys.identity"
	fileTokens   = "tokens.yaml"
	fileProfile  = "profile.yaml"
	fileSigned   = "profile.signed"
	folderData   = "data"
)

// schemeFolder names a scheme's folder and what opens its keys.
type schemeFolder struct {
	Dir            string `required:"" placeholder:"FOLDER" type:"path" help:"The scheme's folder, as purselane init makes it."`
	PassphraseFile string `xor:"lock" placeholder:"FILE" type:"path" help:"File with the key file's passphrase."`
	IdentityFile   string `xor:"lock" placeholder:"FILE" type:"path" help:"File with the key file's age identity. Default: keys.identity in the folder."`
	Store          string `env:"PURSELANE_STORE" placeholder:"ADDRESS" help:"The database: sqlite:FILE or postgres://USER@HOST/NAME. Default: what scheme.yaml says, else a file in the folder. Keep a password out of it, except in the environment."`
}

func (f schemeFolder) path(name string) string { return filepath.Join(f.Dir, name) }

func (f schemeFolder) scheme() (*node.Scheme, error) {
	raw, err := os.ReadFile(f.path(fileScheme))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w (`purselane init --dir %s` makes a scheme)", err, f.Dir)
	}
	if err != nil {
		return nil, err
	}
	return node.ParseScheme(raw)
}

func (f schemeFolder) ring() (*keys.Ring, error) {
	k := sealedFile{File: f.path(fileKeys), PassphraseFile: f.PassphraseFile, IdentityFile: f.IdentityFile}
	sealed, err := os.ReadFile(k.File)
	if err == nil && keys.LockedByDevice(sealed) {
		s, err := f.scheme()
		if err != nil {
			return nil, err
		}
		if !s.HSM.Used() {
			return nil, fmt.Errorf("%s is sealed by an HSM, and the scheme names none: want hsm in scheme.yaml", k.File)
		}
		return sealedFile{File: k.File, Lock: hsmBeside{Module: s.HSM.Module, Token: s.HSM.Token, PINFile: f.path(s.HSM.PINFile)}}.open()
	}
	if k.PassphraseFile == "" && k.IdentityFile == "" {
		if _, err := os.Stat(f.path(fileIdentity)); err == nil {
			k.IdentityFile = f.path(fileIdentity)
		}
	}
	return k.open()
}

// config is the node's configuration as the folder has it.
func (f schemeFolder) config(ctx context.Context, log *slog.Logger) (node.Config, error) {
	s, err := f.scheme()
	if err != nil {
		return node.Config{}, err
	}
	ring, err := f.ring()
	if err != nil {
		return node.Config{}, err
	}
	c := node.Config{Dir: f.path(folderData), Scheme: s, Log: log}
	if c.Database, err = f.database(s); err != nil {
		return node.Config{}, err
	}
	if c.HSM, err = f.hsm(ctx, s, ring, log); err != nil {
		return node.Config{}, err
	}
	var err1, err2, err3, err4 error
	c.TokenKey, err1 = ring.Secret(keys.SecretToken, 32)
	c.ReceiptKey, err2 = ring.SigningKey(keys.SecretReceipt)
	c.Tokens, err3 = f.tokens()
	c.Calendar, err4 = f.calendar(s)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return node.Config{}, err
	}
	return c, f.broker(&c)
}

// hsm opens the door to the master keys: the HSM that the scheme names, else the key file.
func (f schemeFolder) hsm(ctx context.Context, s *node.Scheme, ring *keys.Ring, log *slog.Logger) (keys.HSM, error) {
	for _, id := range ring.Due(keys.DayOf(now())) {
		log.Warn("a retired key is past its last day: destroy it (purselane keys destroy)", "key", id.String())
	}
	if !s.HSM.Used() {
		if err := needs(maps.Keys(ring.Masters)); err != nil {
			return nil, fmt.Errorf("the key file %w", err)
		}
		return ring.CachedHSM(keys.DefaultCache)
	}
	pin, err := readFirstLine("scheme: hsm.pin_file:", f.path(s.HSM.PINFile))
	if err != nil {
		return nil, err
	}
	if len(ring.Masters) > 0 {
		log.Warn("the key file still holds master keys beside the HSM: whoever copies it needs no HSM; seal one without them (docs/keys.md)", "keys", len(ring.Masters))
	}
	d, err := keys.OpenDevice(keys.DeviceOptions{Module: s.HSM.Module, Token: s.HSM.Token, PIN: keys.Secret(pin), Sessions: s.HSM.Sessions, Retired: ring.RetiredIDs(), Cache: keys.DefaultCache})
	if err != nil {
		return nil, err
	}
	found, err := d.Masters(ctx)
	if err == nil {
		err = needs(maps.Keys(found))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the HSM %w", err), d.Close())
	}
	return d, nil
}

// needs refuses to start on keys that would make every record's proof a bad one, or let no card be loaded.
func needs(held iter.Seq[keys.ID]) error {
	purposes := map[keys.Purpose]bool{}
	for id := range held {
		purposes[id.Purpose] = true
	}
	for _, p := range []keys.Purpose{keys.TAC, keys.Load} {
		if !purposes[p] {
			return fmt.Errorf("holds no %s key: without one no record of a card can be judged (docs/keys.md)", p)
		}
	}
	return nil
}

func (f schemeFolder) tokens() (api.Tokens, error) {
	raw, err := os.ReadFile(f.path(fileTokens))
	if err != nil {
		return api.Tokens{}, err
	}
	t, err := api.LoadTokens(raw)
	if err != nil {
		return api.Tokens{}, fmt.Errorf("%s: %w", f.path(fileTokens), err)
	}
	return t, nil
}

func (f schemeFolder) calendar(s *node.Scheme) (calendar.Table, error) {
	if s.Holidays == "" {
		return calendar.Table{}, nil
	}
	raw, err := os.ReadFile(f.path(s.Holidays))
	if err != nil {
		return calendar.Table{}, fmt.Errorf("scheme: holidays: %w", err)
	}
	return calendar.Parse(raw)
}

// broker fills in where the broker listens, and with which certificate.
func (f schemeFolder) broker(c *node.Config) error {
	l := c.Scheme.Broker
	if l.Address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(l.Address)
	if err != nil {
		return fmt.Errorf("scheme: broker.address: %w", err)
	}
	c.BrokerHost = host
	if c.BrokerPort, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("scheme: broker.address: port %q: want a number", port)
	}
	c.BrokerTLS, err = f.tls("broker", l)
	return err
}

// tls reads a listener's certificate; nil for none.
func (f schemeFolder) tls(field string, l node.Listen) (*tls.Config, error) {
	if l.Certificate == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(f.path(l.Certificate), f.path(l.Key))
	if err != nil {
		return nil, fmt.Errorf("scheme: %s: %w", field, err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if l.ClientCA == "" {
		return c, nil
	}
	raw, err := os.ReadFile(f.path(l.ClientCA))
	if err != nil {
		return nil, fmt.Errorf("scheme: %s.client_ca: %w", field, err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("scheme: %s.client_ca: %s holds no PEM certificate", field, l.ClientCA)
	}
	return c, nil
}

// open opens the folder's backend without serving it: for a tool's one piece of work beside, or instead of, a running
// one.
func (f schemeFolder) open(ctx context.Context, log *slog.Logger) (*node.Node, error) {
	c, err := f.config(ctx, log)
	if err != nil {
		return nil, err
	}
	return node.Open(ctx, c)
}

// withNode does a tool's work on the folder's backend.
func (f schemeFolder) withNode(ctx context.Context, do func(*node.Node) error) error {
	n, err := f.open(ctx, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	return errors.Join(do(n), n.Close())
}

// database is the address of the folder's database. s may be nil, and is read then if it is there.
func (f schemeFolder) database(s *node.Scheme) (string, error) {
	if f.Store != "" {
		if store.HasPassword(f.Store) && f.Store != os.Getenv(envStore) {
			return "", fmt.Errorf("--store: everybody on this machine can read the password in it: give the whole address in %s, or the password in ~/.pgpass", envStore)
		}
		return f.Store, nil
	}
	if s == nil {
		if _, err := os.Stat(f.path(fileScheme)); err == nil {
			if s, err = f.scheme(); err != nil {
				return "", err
			}
		}
	}
	if s == nil || s.Store == "" {
		return node.DatabasePath(f.path(folderData)), nil
	}
	if file := strings.TrimPrefix(s.Store, "sqlite:"); !store.IsPostgres(s.Store) && !filepath.IsAbs(file) {
		return f.path(file), nil
	}
	return s.Store, nil
}

// envStore names the database where the address has a password.
const envStore = "PURSELANE_STORE"

// ran reports whether there is a database, as far as can be told without opening it.
func (f schemeFolder) ran() (bool, error) {
	at, err := f.database(nil)
	if err != nil || store.IsPostgres(at) {
		return err == nil, err
	}
	_, err = os.Stat(store.Name(at))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// withStore does a tool's work on the database alone. No key is needed to read the books; to write in them, which are sealed, the key file must
// open.
func (f schemeFolder) withStore(ctx context.Context, do func(*store.Store) error) error {
	at, err := f.database(nil)
	if err != nil {
		return err
	}
	if !store.IsPostgres(at) {
		if _, err := os.Stat(store.Name(at)); err != nil {
			return fmt.Errorf("%w (nothing has run in this folder yet)", err)
		}
	}
	s, err := store.Open(ctx, at, store.Options{BooksKey: f.booksKey()})
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}

// booksKey is the key that accounts are sealed with, nil if the key file does not open.
func (f schemeFolder) booksKey() []byte {
	ring, err := f.ring()
	if err != nil {
		return nil
	}
	token, err := ring.Secret(keys.SecretToken, 32)
	if err != nil {
		return nil
	}
	return node.BooksKey(token)
}

// writeOnce writes a file that must never come out different: the same content again is fine, other content is an error.
func writeOnce(path string, body []byte) error {
	have, err := os.ReadFile(path)
	if err == nil && bytes.Equal(have, body) {
		return nil
	}
	if err == nil {
		return fmt.Errorf("%s exists with other content; it was not touched", path)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return writeNew(path, body, 0o644)
}

// writeNew writes a new file, whole or not at all, and never over another.
func writeNew(path string, body []byte, mode os.FileMode) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists; it was not touched", path)
	}
	return replaceFile(path, body, mode)
}

// replaceFile puts a whole file in the place of an old one, or leaves the old one.
func replaceFile(path string, body []byte, mode os.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // after the rename there is nothing of that name
	_, err = temp.Write(body)
	if err := errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
