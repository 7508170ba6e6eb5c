package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/purselane/purselane/internal/ids"
)

// Role says which operations a token is good for; `x-roles` of the document names them.
type Role string

// Roles.
const (
	Operator Role = "operator" // reads everything, and orders the ends of cards
	Agent    Role = "agent"    // sells loads for one acquirer, and sees what is its own
)

// caller is whose token a request came with.
type caller struct {
	Name     string
	Role     Role
	Acquirer ids.AcquirerID // of an agent; empty for an operator, who sees all
	hash     [sha256.Size]byte
}

// Tokens is who may call. The tokens themselves are not in it, only what they hash to. The zero value lets nobody in.
type Tokens struct{ all []caller }

// Bounds of a token file.
const (
	maxTokens    = 1000
	maxTokenFile = 1 << 20
)

// tokenFile is the form of the file, version 1 (docs/api.md).
type tokenFile struct {
	Version int          `yaml:"version"`
	Tokens  []tokenEntry `yaml:"tokens"`
}

type tokenEntry struct {
	Name     string `yaml:"name"`     // for logs; 1 to 32 of A-Z a-z 0-9 _ -
	Role     Role   `yaml:"role"`     // operator or agent
	Acquirer string `yaml:"acquirer"` // of an agent
	SHA256   string `yaml:"sha256"`   // of the token, hexadecimal
}

// LoadTokens reads a token file: YAML or JSON. Every fault is an error that names the entry; a file that is wrong in
// one place lets nobody in.
func LoadTokens(raw []byte) (Tokens, error) {
	if len(raw) > maxTokenFile {
		return Tokens{}, fmt.Errorf("token file: %d bytes: want at most %d", len(raw), maxTokenFile)
	}
	var f tokenFile
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		return Tokens{}, errors.New("token file: it is not YAML or JSON of the form in docs/api.md") // the parser's own text quotes the file
	}
	if f.Version != 1 {
		return Tokens{}, fmt.Errorf("token file: version %d: want 1", f.Version)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return Tokens{}, errors.New("token file: want one document")
	}
	if len(f.Tokens) > maxTokens {
		return Tokens{}, fmt.Errorf("token file: %d tokens: want at most %d", len(f.Tokens), maxTokens)
	}
	var t Tokens
	for i, e := range f.Tokens {
		c, err := e.caller()
		if err == nil {
			err = t.add(c)
		}
		if err != nil {
			return Tokens{}, fmt.Errorf("token file: entry %d: %w", i+1, err)
		}
	}
	return t, nil
}

func (e tokenEntry) caller() (caller, error) {
	c := caller{Name: e.Name, Role: e.Role, Acquirer: ids.AcquirerID(e.Acquirer)}
	if err := ids.Check(e.Name); err != nil {
		return caller{}, fmt.Errorf("name: %w", err)
	}
	switch e.Role {
	case Operator:
		if e.Acquirer != "" {
			return caller{}, fmt.Errorf("%s: an operator belongs to no acquirer", e.Name)
		}
	case Agent:
		if err := ids.Check(e.Acquirer); err != nil {
			return caller{}, fmt.Errorf("%s: acquirer: %w", e.Name, err)
		}
	default:
		return caller{}, fmt.Errorf("%s: role: want %s or %s", e.Name, Operator, Agent)
	}
	sum, err := hex.DecodeString(e.SHA256)
	if err != nil || len(sum) != len(c.hash) {
		return caller{}, fmt.Errorf("%s: sha256: want %d hexadecimal digits", e.Name, 2*len(c.hash))
	}
	copy(c.hash[:], sum)
	if c.hash == sha256.Sum256(nil) {
		return caller{}, fmt.Errorf("%s: sha256: it is that of an empty token", e.Name)
	}
	return c, nil
}

// add refuses a name or a token that is there already: of two entries with one token it would be chance which counts.
func (t *Tokens) add(c caller) error {
	for _, have := range t.all {
		if have.Name == c.Name {
			return fmt.Errorf("%s: name used twice", c.Name)
		}
		if have.hash == c.hash {
			return fmt.Errorf("%s: same token as %s", c.Name, have.Name)
		}
	}
	t.all = append(t.all, c)
	return nil
}

// find says whose the token is. It takes the same time whoever's it is, and whether it is anyone's.
func (t Tokens) find(token string) (caller, bool) {
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range t.all {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(t.all[i].hash[:], sum[:]), i, found)
	}
	if found < 0 {
		return caller{}, false
	}
	return t.all[found], true
}

// tokenPrefix lets scanners for leaked secrets know a token of ours.
const tokenPrefix = "pl1_"

// NewToken makes a token of 32 random bytes, and the hash that stands for it in a token file. The token is shown once, to
// whom it is for, and kept nowhere. It panics if rand fails: what would come out then could be guessed.
func NewToken(rand io.Reader) (token, hash string) {
	var secret [32]byte
	if _, err := io.ReadFull(rand, secret[:]); err != nil {
		panic("api: no randomness for a token: " + err.Error())
	}
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	sum := sha256.Sum256([]byte(token))
	return token, hex.EncodeToString(sum[:])
}

// bearer reads the token of an Authorization header (RFC 6750, 2.1).
func bearer(header string) (string, bool) {
	scheme, token, found := strings.Cut(header, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 256 {
		return "", false
	}
	return token, true
}

type callerKey struct{}

// callerOf is whose request it is. The gate puts it there before any handler runs.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}
