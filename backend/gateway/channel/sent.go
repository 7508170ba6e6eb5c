package channel

import (
	"errors"
	"net"
	"net/http"
	"net/url"
)

// NotSent reports that a request of HTTP that ended with err has not left: the connection to its own host could not be opened.
//
// A failed dial after a redirect does not count, because the first host has had the request by then. Nor does a connection that broke:
// what was written may have arrived.
func NotSent(req *http.Request, err error) bool {
	var of *url.Error
	if errors.As(err, &of) && of.URL != req.URL.String() {
		return false
	}
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
