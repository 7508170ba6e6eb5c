package api

import (
	"crypto/subtle"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// guard lets through only who may use the API.
//
// A browser on the device can reach loopback from any page that it shows, so a request made by a page of another site is refused: by its
// Origin, and by its Host, because a name that was made to point here would pass the first test.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		if s.Token == "" && !localHost(r.Host) {
			probOrigin.with("Host: want this machine's loopback address").write(w)
			return
		}
		if o := r.Header.Get("Origin"); o != "" && !sameSite(o, r.Host) {
			probOrigin.write(w)
			return
		}
		if s.Token != "" && !s.knows(r) {
			probToken.write(w)
			return
		}
		if r.Method == http.MethodPost || r.Method == http.MethodPut {
			kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
			if r.ContentLength != 0 && (err != nil || kind != "application/json") {
				probMedia.write(w)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// knows compares the token in constant time.
func (s *server) knows(r *http.Request) bool {
	got, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return found && subtle.ConstantTimeCompare([]byte(got), []byte(s.Token)) == 1
}

// localHost reports a Host that names this machine: what a client of a unix socket sends is up to it, and it has passed the file's
// permissions, so its usual words pass.
func localHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.Trim(name, "[]")
	ip := net.ParseIP(name)
	return name == "localhost" || name == "unix" || ip != nil && ip.IsLoopback()
}

func sameSite(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host == host
}
