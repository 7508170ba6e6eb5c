package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

// maxURL bounds an endpoint's URL, in bytes.
const maxURL = 2048

// ErrAddress says that an address is none that messages are sent to.
var ErrAddress = errors.New("the address is not a public one: an operator must allow it")

// ErrURL says that a URL is none for an endpoint.
var ErrURL = errors.New("not an endpoint's URL")

// private are address ranges that are no host on the public Internet, beside those that [netip.Addr] knows: RFC 6890 and successors.
var private = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10")

func prefixes(all ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range all {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func public(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	return !within(a, private)
}

func within(a netip.Addr, all []netip.Prefix) bool {
	for _, p := range all {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// guard decides which addresses are connected to. A name's address is known only when it is dialled, and may be another each time, so the guard stands there and not where
// the URL is registered.
type guard struct {
	allow []netip.Prefix // addresses that an operator allows, by http too
	plain bool           // the connection is http: only allowed addresses will do
}

// control is net.Dialer's Control: it sees the address that is about to be connected to.
func (g guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q: %w", address, ErrAddress)
	}
	return g.check(ap.Addr())
}

func (g guard) check(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	if within(a, g.allow) {
		return nil
	}
	if g.plain || !public(a) {
		return fmt.Errorf("%v: %w", a, ErrAddress)
	}
	return nil
}

// checkURL refuses a URL that can be no endpoint's. Errors: [ErrURL], [ErrAddress]; none quotes the URL, which may hold a secret of the receiver's.
func checkURL(raw string, allow []netip.Prefix) error {
	bad := func(why string) error { return fmt.Errorf("%s: %w", why, ErrURL) }
	u, err := url.Parse(raw)
	switch {
	case err != nil || len(raw) > maxURL || strings.ContainsAny(raw, " \t\r\n"):
		return bad("want https://host/path, at most 2048 characters")
	case u.Scheme != "https" && u.Scheme != "http":
		return bad("want https")
	case u.Scheme == "http" && len(allow) == 0:
		return bad("want https: http is for addresses that an operator allows")
	case u.Hostname() == "":
		return bad("it names no host")
	case u.User != nil:
		return bad("a name or password in it would go to logs on the way")
	case u.Fragment != "" || strings.HasSuffix(raw, "#"):
		return bad("a fragment never reaches the host")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return guard{allow: allow, plain: u.Scheme == "http"}.check(a)
	}
	return nil
}
