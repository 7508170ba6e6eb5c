package api

import (
	"net/http"

	"github.com/purselane/purselane/internal/ids"
)

// AgentOf says for which acquirer a request's token speaks, for handlers beside the API that serve acquirers. False: it has no token, or one
// that is no agent's.
func (t Tokens) AgentOf(r *http.Request) (ids.AcquirerID, bool) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return "", false
	}
	token, found := bearer(headers[0])
	if !found {
		return "", false
	}
	c, found := t.find(token)
	return c.Acquirer, found && c.Role == Agent
}
