package sign

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Version is the first line of what is signed.
const Version = "PURSELANE-1"

// Request is what of an HTTP request is signed.
type Request struct {
	Method    string
	Path      string // as it is sent, with its escapes
	Query     string // as it is sent, in any order
	Timestamp int64  // Unix seconds
	Nonce     string
	App       string
	Key       string
	Body      []byte
}

// ErrRequest says that a request has something that cannot be signed, because it could be read in two ways.
var ErrRequest = errors.New("the request cannot be signed")

// Text makes the nine lines that are signed. Each ends where the next begins, and none can hold a line's end, so no two requests have one text. Error: [ErrRequest].
func (r Request) Text() ([]byte, error) {
	if !word(r.Method) {
		return nil, fmt.Errorf("method %.20q: %w", r.Method, ErrRequest)
	}
	path := r.Path
	if path == "" {
		path = "/"
	}
	if path[0] != '/' || !visible(path) || strings.ContainsAny(path, "?#") {
		return nil, fmt.Errorf("path: want it from the first / on, with its escapes: %w", ErrRequest)
	}
	query, err := sorted(r.Query)
	if err != nil {
		return nil, err
	}
	if !word(r.Nonce) || !word(r.App) || !word(r.Key) {
		return nil, fmt.Errorf("nonce, app and key: want letters, digits, '-', '_' and '.': %w", ErrRequest)
	}
	sum := sha256.Sum256(r.Body)
	return []byte(strings.Join([]string{Version, r.Method, path, query, strconv.FormatInt(r.Timestamp, 10), r.Nonce, r.App, r.Key, hex.EncodeToString(sum[:])}, "\n")), nil
}

// sorted brings a query into the one form that is signed: names and values unescaped and escaped anew, so that every way to write a letter is one, then sorted by bytes.
func sorted(query string) (string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", fmt.Errorf("query: want name=value&…, with every other byte as %%XX: %w", ErrRequest)
	}
	var out []string
	for name, all := range values {
		for _, v := range all {
			out = append(out, escape(name)+"="+escape(v))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "&"), nil
}

// escape leaves the unreserved characters of RFC 3986 2.3 and writes every other byte as %XX.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if letter(c) || c == '~' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// letter is what app names, keys, nonces and signatures are made of.
func letter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

func word(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7F || !letter(byte(r)) })
}

func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
