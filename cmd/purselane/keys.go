package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/purselane/purselane/card/keys"
)

// KeysCmd are the commands on a scheme's sealed key file.
type KeysCmd struct {
	Init KeysInitCmd `cmd:"" help:"Draw the keys of a new scheme and seal them into a new file. For development."`
	Show KeysShowCmd `cmd:"" help:"Show what a key file holds: purposes, versions, check values and public keys, never a key."`

	Ceremony KeysCeremonyCmd `cmd:"" help:"Combine a master key from the components of two or three people."`
	Add      KeysAddCmd      `cmd:"" help:"Draw the next version of a master key."`
	Retire   KeysRetireCmd   `cmd:"" help:"Take a version of a master key out of new work; its proofs are still judged until a day."`
	Destroy  KeysDestroyCmd  `cmd:"" help:"Take a retired version out for good."`
	Split    KeysSplitCmd    `cmd:"" help:"Make a key file for an issuer, a host or an acquirer from a scheme's."`
	Export   KeysExportCmd   `cmd:"" help:"Write one master key into a key block, under a transport key."`
	Import   KeysImportCmd   `cmd:"" help:"Add the master key of a key block."`
	HSM      KeysHSMCmd      `cmd:"" name:"hsm" help:"Store and show master keys in an HSM (PKCS#11)."`
}

// developmentOnly is what every command on a sealed file says, where nobody can miss it.
const developmentOnly = `*** FOR DEVELOPMENT ONLY ***
This file holds every key of the scheme, and the program that opens it has them in memory. Whoever copies both can load
cards with money that nobody paid. A scheme with real money in it needs an HSM.`

// sealedFile names a key file and what opens it.
type sealedFile struct {
	File           string `required:"" placeholder:"FILE" type:"path" help:"The sealed key file."`
	PassphraseFile string `xor:"lock" placeholder:"FILE" type:"path" help:"File with the passphrase in its first line. Without it and --identity-file the passphrase is asked for."`
	IdentityFile   string `xor:"lock" placeholder:"FILE" type:"path" help:"File with an age X25519 identity, as age-keygen writes it. keys init makes it if it is not there."`

	Lock hsmBeside `embed:"" prefix:"lock-"` // the HSM whose data key seals the file
}

// hsmLock is the lock of an HSM, if the file has one.
func (f sealedFile) hsmLock() (keys.Lock, bool, error) {
	if f.Lock.used() && (f.PassphraseFile != "" || f.IdentityFile != "") {
		return nil, false, errors.New("a key file has one lock: an HSM, a passphrase or an identity")
	}
	return hsmLock{hsmFlags(f.Lock)}, f.Lock.used(), f.Lock.check()
}

// open opens the key file.
func (f sealedFile) open() (*keys.Ring, error) {
	identity, err := f.identity()
	if err != nil {
		return nil, err
	}
	ring, err := keys.OpenFile(f.File, identity)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w (`purselane keys init` makes a key file)", err)
	}
	return ring, err
}

func (f sealedFile) identity() (age.Identity, error) {
	if lock, used, err := f.hsmLock(); err != nil || used {
		return lock, err
	}
	if f.IdentityFile != "" {
		return keys.OpenIdentityFile(f.IdentityFile)
	}
	passphrase, err := f.passphrase(false)
	if err != nil {
		return nil, err
	}
	return keys.PassphraseIdentity(passphrase)
}

// passphrase reads the passphrase from its file, or asks for it: twice when it is a new one, because a slip could not
// be mended.
func (f sealedFile) passphrase(fresh bool) (string, error) {
	if f.PassphraseFile != "" {
		return readFirstLine("--passphrase-file", f.PassphraseFile)
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return "", errors.New("nobody to ask for the passphrase: want --passphrase-file or --identity-file")
	}
	return askPassphrase(fresh, askHidden)
}

func askPassphrase(fresh bool, ask func(prompt string) (string, error)) (string, error) {
	first, err := ask("Passphrase of the key file: ")
	if err != nil || !fresh {
		return first, err
	}
	second, err := ask("The same again: ")
	if err == nil && first != second {
		return "", errors.New("the two passphrases differ; nothing was written")
	}
	return first, err
}

// readFirstLine reads a secret from the first line of the file that a flag or setting names. An error never shows what stands in it.
func readFirstLine(named, path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", named, err)
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	secret := strings.TrimSuffix(string(line), "\r")
	if secret == "" {
		return "", fmt.Errorf("%s %s: the first line is empty, it wants to be the secret", named, path)
	}
	return secret, nil
}

// KeysInitCmd is `purselane keys init`.
type KeysInitCmd struct {
	sealedFile
	WithoutMasters bool `help:"Draw the backend's own secrets only: master keys come from a ceremony, or stay in an HSM."`
}

// Run draws the keys, seals them, and shows what it can read back.
func (c *KeysInitCmd) Run(k *kong.Kong) error {
	if _, err := os.Lstat(c.File); err == nil {
		return fmt.Errorf("%s exists, and its keys may be the only ones of a scheme: choose another name or move it away", c.File)
	}
	to, identity, err := c.lock()
	if err != nil {
		return err
	}
	ring, err := keys.NewRing(rand.Reader)
	if err != nil {
		return err
	}
	if c.WithoutMasters {
		clear(ring.Masters)
	}
	if err := keys.CreateFile(c.File, ring, to); err != nil {
		return err
	}
	// A file that does not open is worth less than none: read it back before anyone relies on it.
	written, err := keys.OpenFile(c.File, identity)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	fmt.Fprintf(k.Stdout, "%s\n\nmade %s\n", developmentOnly, c.File)
	show(k.Stdout, written)
	return nil
}

// lock returns what seals the new file and what opens it again.
func (c *KeysInitCmd) lock() (age.Recipient, age.Identity, error) {
	if lock, used, err := c.hsmLock(); err != nil || used {
		return lock, lock, err
	}
	if c.IdentityFile != "" {
		x, err := keys.OpenIdentityFile(c.IdentityFile)
		if errors.Is(err, os.ErrNotExist) {
			x, err = keys.CreateIdentityFile(c.IdentityFile)
		}
		if err != nil {
			return nil, nil, err
		}
		return x.Recipient(), x, nil
	}
	passphrase, err := c.passphrase(true)
	if err != nil {
		return nil, nil, err
	}
	to, err := keys.PassphraseRecipient(passphrase)
	if err != nil {
		return nil, nil, err
	}
	identity, err := keys.PassphraseIdentity(passphrase)
	return to, identity, err
}

// KeysShowCmd is `purselane keys show`.
type KeysShowCmd struct{ sealedFile }

// Run prints what the file holds.
func (c *KeysShowCmd) Run(k *kong.Kong) error {
	ring, err := c.open()
	if err != nil {
		return err
	}
	fmt.Fprintf(k.Stdout, "%s\n\n%s\n", developmentOnly, c.File)
	show(k.Stdout, ring)
	return nil
}

// show prints each key by what may be known of it: a check value names a key to those who have it and tells others
// nothing.
func show(out io.Writer, r *keys.Ring) {
	if r.Role != keys.RoleScheme {
		fmt.Fprintf(out, "  role %s\n", r.Role)
	}
	for _, id := range slices.SortedFunc(maps.Keys(r.Masters), keys.ID.Compare) {
		kind := keys.KindOf(id, 0)
		fmt.Fprintf(out, "  master %-12s version %02X  algorithm %02X  %-4s  check value %X\n", id.Purpose, id.Version, id.Algorithm, kind, kind.CheckValue(r.Masters[id]))
	}
	showRetired(out, r)
	for _, name := range slices.Sorted(maps.Keys(r.Secrets)) {
		fmt.Fprintf(out, "  secret %-12s %s\n", name, describe(r, name))
	}
}

// showRetired prints the versions that do nothing new, and which of them are to be destroyed.
func showRetired(out io.Writer, r *keys.Ring) {
	due := r.Due(keys.DayOf(now()))
	for _, id := range r.RetiredIDs() {
		old := r.Retired[id]
		switch {
		case old.Gone != "":
			fmt.Fprintf(out, "  destroyed %v on %s\n", id, old.Gone)
		case slices.Contains(due, id):
			fmt.Fprintf(out, "  retired %v, its proofs were judged until %s: destroy it (purselane keys destroy)\n", id, old.Until)
		default:
			fmt.Fprintf(out, "  retired %v, its proofs are judged until %s\n", id, old.Until)
		}
	}
}

func describe(r *keys.Ring, name string) string {
	if name != keys.SecretReceipt && name != keys.SecretProfile {
		return fmt.Sprintf("%d bytes", len(r.Secrets[name]))
	}
	key, err := r.SigningKey(name)
	if err != nil {
		return "no Ed25519 seed: " + err.Error()
	}
	return "Ed25519 public key " + hex.EncodeToString(key.Public().(ed25519.PublicKey))
}
