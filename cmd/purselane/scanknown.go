package main

import (
	"encoding/hex"
	"strings"

	"github.com/purselane/purselane/internal/forbidden"
)

// knownSecret reads a line of a file of secrets: a name, a blank, and the digits of a card, or hex: and a key.
func knownSecret(line string) (forbidden.Secret, bool) {
	i := strings.LastIndexAny(line, " \t")
	if i < 1 {
		return forbidden.Secret{}, false
	}
	name, value := strings.TrimSpace(line[:i]), line[i+1:]
	digits, isKey := strings.CutPrefix(value, "hex:")
	if isKey {
		raw, err := hex.DecodeString(digits)
		return forbidden.Secret{Name: name, Value: raw}, err == nil && len(raw) > 0
	}
	return forbidden.Secret{Name: name, Value: []byte(value)}, value != "" && strings.Trim(value, "0123456789") == ""
}
