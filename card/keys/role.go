package keys

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Role says whose ring it is, and so what it may hold. The hierarchy: the issuer has every master key and makes cards, each with keys that are
// derived for it alone; the host and the acquirer have what their work takes; a SAM has what its acquirer puts in, and a card its own keys. A
// card's or a SAM's keys are in no ring.
type Role string

// Roles.
const (
	RoleScheme   Role = ""         // all in one: development, or the safe
	RoleIssuer   Role = "issuer"   // makes cards
	RoleHost     Role = "host"     // the backend: judges proofs, loads, commands cards
	RoleAcquirer Role = "acquirer" // makes SAMs for its terminals
)

// ErrRole says that a key is not for whoever has the ring.
var ErrRole = errors.New("a ring of this role may not hold it")

// holdings is what a role may hold.
type holdings struct {
	masters []Purpose
	secrets []string
	why     string // of what it may not
}

var roles = map[Role]holdings{
	RoleIssuer: {
		masters: []Purpose{Purchase, Load, TAC, Maintenance, Unload, Limit, Reload, Unblock, ECCryptogram, ECMAC, ECEncipher, DESFireTMAC, DESFireApp},
		why:     "an issuer makes cards; the backend's secrets are the host's",
	},
	RoleHost: {
		masters: []Purpose{Load, TAC, Maintenance, Unload, Limit, Reload, Unblock, ECCryptogram, ECMAC, ECEncipher, DESFireTMAC},
		secrets: []string{SecretToken, SecretReceipt, SecretProfile},
		why:     "a host judges debits, and must not be able to make one",
	},
	RoleAcquirer: {
		masters: []Purpose{Purchase, Maintenance, DESFireApp},
		why:     "an acquirer takes debits, and must not be able to load cards or to make proofs",
	},
}

// ParseRole reads a role's name; none is the whole scheme.
func ParseRole(name string) (Role, error) {
	if _, known := roles[Role(name)]; !known && name != "" && name != "scheme" {
		return "", fmt.Errorf("keys: role %q: want issuer, host, acquirer or scheme", name)
	}
	if name == "scheme" {
		return RoleScheme, nil
	}
	return Role(name), nil
}

// String is the role's name.
func (r Role) String() string {
	if r == RoleScheme {
		return "scheme"
	}
	return string(r)
}

// mayHold refuses a master key of a purpose that is not the role's. A ring of the whole scheme carries along what it does not know; others
// do not.
func (r Role) mayHold(p Purpose) error {
	if h, known := roles[r]; r != RoleScheme && (!known || !slices.Contains(h.masters, p)) {
		return fmt.Errorf("keys: a %s key in a ring of role %s: %w: %s", p, r, ErrRole, h.why)
	}
	return nil
}

func (r Role) mayKnow(secret string) error {
	if h, known := roles[r]; r != RoleScheme && (!known || !slices.Contains(h.secrets, secret)) {
		return fmt.Errorf("keys: the secret %q in a ring of role %s: %w: %s", secret, r, ErrRole, h.why)
	}
	return nil
}

// For returns a ring with what a role may hold of this one. Only a ring of the whole scheme is divided, or an issuer's, who has the masters.
func (r *Ring) For(role Role) (*Ring, error) {
	if r.Role != RoleScheme && r.Role != RoleIssuer {
		return nil, fmt.Errorf("keys: a ring of role %s is not divided: only the whole scheme's or an issuer's is", r.Role)
	}
	out := &Ring{Role: role, Masters: maps.Clone(r.Masters), Secrets: maps.Clone(r.Secrets), Retired: maps.Clone(r.Retired)}
	maps.DeleteFunc(out.Masters, func(id ID, _ Key) bool { return role.mayHold(id.Purpose) != nil })
	maps.DeleteFunc(out.Retired, func(id ID, _ Retirement) bool { return role.mayHold(id.Purpose) != nil })
	maps.DeleteFunc(out.Secrets, func(name string, _ Secret) bool { return role.mayKnow(name) != nil })
	return out, nil
}
