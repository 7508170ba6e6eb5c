package stripe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/purselane/purselane/internal/clock"
)

// lists refuses an answer to a list or a search that is none. Stripe's library takes any JSON without data for an empty list, and a payment that is in no list was
// never made.
//
// Nor does it take a list while our clock is ahead of Stripe's: what was paid by their clock would lie before the time from which on we ask.
type lists struct {
	http.RoundTripper
	clock clock.Clock
}

func (l lists) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.RoundTripper.RoundTrip(r)
	want := listed(r)
	if err != nil || want == "" || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end or given up
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	var said struct {
		Object string            `json:"object"`
		Data   []json.RawMessage `json:"data"`
	}
	if json.Unmarshal(body, &said) != nil || said.Object != want || said.Data == nil {
		return nil, fmt.Errorf("the answer to %s is no %s: something on the way has answered in Stripe's place", r.URL.Path, want)
	}
	if theirs, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		if ahead := l.clock.Now().Sub(theirs); ahead > slack {
			return nil, fmt.Errorf("this machine's clock is %v ahead of Stripe's: what was paid just now would not be found; set the clock", ahead.Round(time.Second))
		}
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

// listed is the kind of object that a request is answered with where that has others in it; "" for one of one object.
func listed(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.Method != http.MethodGet:
		return ""
	case parts[len(parts)-1] == "search":
		return "search_result"
	case len(parts) >= 2 && parts[len(parts)-2] == "v1":
		return "list"
	}
	return ""
}
