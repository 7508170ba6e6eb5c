package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// A sealed file is an age file (age-encryption.org/v1) whose content is the text of ringtext.go. It is for development: a scheme with
// real money in it keeps its master keys in a device that they cannot leave.

// Errors of a sealed file, each with what to do about it.
var (
	// ErrWrongPassphrase: the file is sealed to another passphrase or identity.
	ErrWrongPassphrase = errors.New("the key file does not open with this passphrase or identity: check that both belong together")
	// ErrDamaged: the file is no key file, or is no longer whole.
	ErrDamaged = errors.New("the key file is damaged or no key file: restore it from a copy")
	// ErrNewer: a newer program wrote the file.
	ErrNewer = errors.New("the key file is of a newer version: use the program that made it, or a later one")
)

const (
	// workFactor is the base-2 logarithm of scrypt's N: about a second and 256 MiB for each guess at the passphrase.
	workFactor = 18
	// maxWorkFactor bounds what opening a file may cost: 1 GiB. A hostile file must not take the machine down.
	maxWorkFactor = 20
	// maxFile bounds a sealed file: the inner text with age's header and tags.
	maxFile = maxText + 64<<10
)

// PassphraseOption changes how a passphrase seals.
type PassphraseOption func(*age.ScryptRecipient)

// WorkFactor sets the base-2 logarithm of the work for one guess. It is for tests and simulations, whose keys
// are worth nothing: below 18 a stolen file is cheap to search.
func WorkFactor(log int) PassphraseOption {
	return func(r *age.ScryptRecipient) { r.SetWorkFactor(log) }
}

// PassphraseRecipient seals to a passphrase; an empty one is an error.
func PassphraseRecipient(passphrase string, options ...PassphraseOption) (age.Recipient, error) {
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	r.SetWorkFactor(workFactor)
	for _, o := range options {
		o(r)
	}
	return r, nil
}

// PassphraseIdentity opens what PassphraseRecipient sealed.
func PassphraseIdentity(passphrase string) (age.Identity, error) {
	i, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	i.SetMaxWorkFactor(maxWorkFactor)
	return i, nil
}

// ParseIdentity reads an identity file as age-keygen writes it: one X25519 identity, with comment lines. It opens what
// was sealed to its Recipient. Never print it: age's identities print themselves.
func ParseIdentity(text []byte) (*age.X25519Identity, error) {
	all, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return nil, errors.New("keys: no identity file: want one line AGE-SECRET-KEY-1… as age-keygen writes it")
	}
	x, ok := all[0].(*age.X25519Identity)
	if !ok || len(all) != 1 {
		return nil, errors.New("keys: want exactly one X25519 identity in the identity file")
	}
	return x, nil
}

// Seal writes the ring to w so that only the recipient's identity opens it.
func (r *Ring) Seal(w io.Writer, to age.Recipient) error {
	text, err := r.text()
	if err != nil {
		return err
	}
	out, err := age.Encrypt(w, to)
	if err != nil {
		return fmt.Errorf("keys: seal: %w", err)
	}
	if _, err := out.Write(text); err != nil {
		return fmt.Errorf("keys: seal: %w", err)
	}
	// Close writes the last chunk; without it the file would read as cut short.
	if err := out.Close(); err != nil {
		return fmt.Errorf("keys: seal: %w", err)
	}
	return nil
}

// OpenRing reads what Seal wrote. Errors are ErrWrongPassphrase, ErrDamaged, ErrNewer, or the reader's own.
func OpenRing(r io.Reader, with age.Identity) (*Ring, error) {
	// Read to the end first: behind this line a failed read means damage, not a bad disk.
	sealed, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if len(sealed) > maxFile {
		return nil, fmt.Errorf("keys: %w: more than %d bytes", ErrDamaged, maxFile)
	}
	text, err := unseal(sealed, with)
	if err != nil {
		return nil, err
	}
	ring, err := parseRing(text)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return ring, nil
}

func unseal(sealed []byte, with age.Identity) ([]byte, error) {
	plain, err := age.Decrypt(bytes.NewReader(sealed), with)
	var noMatch *age.NoIdentityMatchError
	var device deviceError
	switch {
	case errors.As(err, &device):
		return nil, fmt.Errorf("keys: the key file is sealed by an HSM: %w", device.error)
	case errors.As(err, &noMatch):
		return nil, fmt.Errorf("keys: %w (it is sealed to %s)", ErrWrongPassphrase, sealedTo(noMatch.StanzaTypes))
	case err != nil:
		// age's own error quotes the file: a passphrase, when somebody names the wrong file.
		return nil, fmt.Errorf("keys: %w (its head cannot be read)", ErrDamaged)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		return nil, fmt.Errorf("keys: %w: %w", ErrDamaged, err)
	}
	return text, nil
}

// sealedTo says in plain words what a file of these age stanzas wants.
func sealedTo(stanzas []string) string {
	switch strings.Join(stanzas, " ") {
	case "scrypt":
		return "a passphrase"
	case "X25519":
		return "an identity"
	case stanzaDevice:
		return "a data key in an HSM: open it where that HSM is"
	}
	return "something else"
}
