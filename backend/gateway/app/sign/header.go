package sign

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Scheme is the first word of the Authorization header.
const Scheme = "Purselane"

// Bounds of what a header may say.
const (
	maxHeader = 2048
	maxName   = 64
	minNonce  = 16
	maxNonce  = 64
)

// Header is what an Authorization header says.
type Header struct {
	App       string
	Key       string
	Timestamp int64 // Unix seconds
	Nonce     string
	Signature []byte
}

// ErrHeader says that an Authorization header is none of ours.
var ErrHeader = errors.New("the Authorization header does not fit")

// String is the header's value. The signature is base64url without padding (RFC 4648 5), so that no part needs quotes.
func (h Header) String() string {
	return fmt.Sprintf("%s app=%s, key=%s, timestamp=%d, nonce=%s, signature=%s", Scheme, h.App, h.Key, h.Timestamp, h.Nonce, base64.RawURLEncoding.EncodeToString(h.Signature))
}

// Parse reads an Authorization header's value: the five parts in any order, each once, and no other. Error: [ErrHeader], which says what is wrong and quotes no part's value.
func Parse(value string) (Header, error) {
	bad := func(format string, args ...any) (Header, error) {
		return Header{}, fmt.Errorf(format+": %w", append(args, ErrHeader)...)
	}
	if len(value) > maxHeader {
		return bad("%d bytes: want at most %d", len(value), maxHeader)
	}
	scheme, rest, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, Scheme) {
		return bad("want %s app=…, key=…, timestamp=…, nonce=…, signature=…", Scheme)
	}
	parts := map[string]string{}
	for one := range strings.SplitSeq(rest, ",") {
		name, v, _ := strings.Cut(strings.Trim(one, " \t"), "=")
		switch name {
		case "app", "key", "timestamp", "nonce", "signature":
		default:
			return bad("a part that is not app, key, timestamp, nonce or signature")
		}
		if _, twice := parts[name]; twice {
			return bad("%s is there twice", name)
		}
		if !word(v) {
			return bad("%s: want letters, digits, '-', '_' and '.', without quotes", name)
		}
		parts[name] = v
	}
	for _, name := range []string{"app", "key", "timestamp", "nonce", "signature"} {
		if parts[name] == "" {
			return bad("%s is missing", name)
		}
	}
	h := Header{App: parts["app"], Key: parts["key"], Nonce: parts["nonce"]}
	if len(h.App) > maxName || len(h.Key) > maxName {
		return bad("app and key: want at most %d characters", maxName)
	}
	if len(h.Nonce) < minNonce || len(h.Nonce) > maxNonce {
		return bad("nonce of %d characters: want %d to %d", len(h.Nonce), minNonce, maxNonce)
	}
	var err error
	if h.Timestamp, err = strconv.ParseInt(parts["timestamp"], 10, 64); err != nil || strconv.FormatInt(h.Timestamp, 10) != parts["timestamp"] || h.Timestamp < 0 {
		return bad("timestamp: want Unix seconds")
	}
	if h.Signature, err = base64.RawURLEncoding.Strict().DecodeString(parts["signature"]); err != nil {
		return bad("signature: want base64url without padding")
	}
	return h, nil
}
