package keys

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// FormatVersion is the version of what a sealed file holds inside. It is an outside contract: docs/keys.md.
//
//   - 1: 2026-11-24: first
//   - 2: 2026-11-25: role, retired and destroyed; a ring without these is still written as version 1
const FormatVersion = 2

// The inner form is text, one key a line, sorted, in one form only: what is read is coded back to the same bytes.
//
//	purselane keys 2
//	role <role>
//	master <purpose> <version> <algorithm> <32 hexadecimal digits>
//	retired <purpose> <version> <algorithm> <until>
//	destroyed <purpose> <version> <algorithm> <until> <day>
//	secret <name> <hexadecimal digits>
const magic = "purselane keys "

// Limits of the inner form. They are far above any scheme's and keep a hostile file small.
const (
	maxText   = 256 << 10
	maxSecret = 1024
	maxName   = 32
)

func (r *Ring) text() ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s%d\n", magic, r.format())
	if r.Role != RoleScheme {
		fmt.Fprintf(&out, "role %s\n", r.Role)
	}
	for _, id := range slices.SortedFunc(maps.Keys(r.Masters), ID.Compare) {
		if err := checkWord(string(id.Purpose)); err != nil {
			return nil, fmt.Errorf("keys: purpose %q: %w", id.Purpose, err)
		}
		if err := r.Role.mayHold(id.Purpose); err != nil {
			return nil, err
		}
		if r.Retired[id].Gone != "" {
			return nil, fmt.Errorf("keys: %v: %w", id, ErrDestroyed)
		}
		k := r.Masters[id]
		fmt.Fprintf(&out, "master %s %02X %02X %s\n", id.Purpose, id.Version, id.Algorithm, upper(k[:]))
	}
	if err := r.retiredText(&out); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(r.Secrets)) {
		if err := checkWord(name); err != nil {
			return nil, fmt.Errorf("keys: secret name %q: %w", name, err)
		}
		if err := r.Role.mayKnow(name); err != nil {
			return nil, err
		}
		s := r.Secrets[name]
		if len(s) == 0 || len(s) > maxSecret {
			return nil, fmt.Errorf("keys: secret %q has %d bytes: want 1 to %d", name, len(s), maxSecret)
		}
		fmt.Fprintf(&out, "secret %s %s\n", name, upper(s))
	}
	if out.Len() > maxText {
		return nil, fmt.Errorf("keys: %d bytes of keys: a sealed file holds %d", out.Len(), maxText)
	}
	return out.Bytes(), nil
}

// format is the lowest version that can say all of the ring.
func (r *Ring) format() int {
	if r.Role == RoleScheme && len(r.Retired) == 0 {
		return 1
	}
	return 2
}

func (r *Ring) retiredText(out *bytes.Buffer) error {
	for _, id := range r.RetiredIDs() {
		old := r.Retired[id]
		if err := checkWord(string(id.Purpose)); err != nil {
			return fmt.Errorf("keys: purpose %q: %w", id.Purpose, err)
		}
		if err := r.Role.mayHold(id.Purpose); err != nil {
			return err
		}
		if _, err := ParseDay(string(old.Until)); err != nil {
			return err
		}
		if old.Gone == "" {
			fmt.Fprintf(out, "retired %s %02X %02X %s\n", id.Purpose, id.Version, id.Algorithm, old.Until)
			continue
		}
		if _, err := ParseDay(string(old.Gone)); err != nil {
			return err
		}
		fmt.Fprintf(out, "destroyed %s %02X %02X %s %s\n", id.Purpose, id.Version, id.Algorithm, old.Until, old.Gone)
	}
	return nil
}

// parseRing reads the inner form. Its errors name a line and never what stands in it.
func parseRing(text []byte) (*Ring, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrDamaged, maxText)
	}
	head, rest, _ := strings.Cut(string(text), "\n")
	version, ok := strings.CutPrefix(head, magic)
	if !ok {
		return nil, fmt.Errorf("%w: it opens, and holds no keys of ours", ErrDamaged)
	}
	if n, err := strconv.Atoi(version); err == nil && n > FormatVersion && strconv.Itoa(n) == version {
		return nil, fmt.Errorf("%w: version %d, this program reads %d", ErrNewer, n, FormatVersion)
	}
	r := &Ring{Masters: map[ID]Key{}, Secrets: map[string]Secret{}}
	line := 1
	for l := range strings.Lines(rest) {
		line++
		if err := r.parseLine(strings.Fields(l)); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrDamaged, line, err)
		}
	}
	// One comparison refuses every second way to write the same ring: order, doubles, case, spaces, a missing newline.
	if again, err := r.text(); err != nil || !bytes.Equal(again, text) {
		return nil, fmt.Errorf("%w: not in the form this program writes", ErrDamaged)
	}
	return r, nil
}

func (r *Ring) parseLine(word []string) error {
	switch {
	case len(word) == 5 && word[0] == "master":
		raw, err := hex.DecodeString(word[2] + word[3] + word[4])
		if err != nil || len(word[2]) != 2 || len(word[3]) != 2 || len(raw) != 2+len(Key{}) {
			return errors.New("want a version, an algorithm and a key of 16 bytes")
		}
		r.Masters[ID{Purpose: Purpose(word[1]), Version: raw[0], Algorithm: raw[1]}] = Key(raw[2:])
		return nil
	case len(word) == 3 && word[0] == "secret":
		raw, err := hex.DecodeString(word[2])
		if err != nil {
			return errors.New("want hexadecimal digits")
		}
		r.Secrets[word[1]] = raw
		return nil
	case len(word) == 2 && word[0] == "role":
		role, err := ParseRole(word[1])
		if err != nil {
			return errors.New("no role") // its own error quotes the word
		}
		r.Role = role
		return nil
	case len(word) == 5 && word[0] == "retired":
		return r.parseRetired(word, Retirement{Until: Day(word[4])})
	case len(word) == 6 && word[0] == "destroyed":
		return r.parseRetired(word, Retirement{Until: Day(word[4]), Gone: Day(word[5])})
	}
	return errors.New("no line of a key file")
}

func (r *Ring) parseRetired(word []string, old Retirement) error {
	raw, err := hex.DecodeString(word[2] + word[3])
	if err != nil || len(word[2]) != 2 || len(word[3]) != 2 {
		return errors.New("want a version and an algorithm")
	}
	if r.Retired == nil {
		r.Retired = map[ID]Retirement{}
	}
	r.Retired[ID{Purpose: Purpose(word[1]), Version: raw[0], Algorithm: raw[1]}] = old
	return nil
}

func upper(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }

// checkWord wants a name that is one word of the inner form.
func checkWord(s string) error {
	if s == "" || len(s) > maxName {
		return fmt.Errorf("want 1 to %d characters, have %d", maxName, len(s))
	}
	for _, c := range s {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return fmt.Errorf("character %q: want small letters, digits or '-' only", c)
		}
	}
	return nil
}
