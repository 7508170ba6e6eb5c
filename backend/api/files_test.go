package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
)

// fetch asks for the day's files and one of them.
func (c *city) fetch(t *testing.T) (name, etag string, body []byte) {
	t.Helper()
	a := c.call(c.bus, "GET", "/v1/settlement/"+day+"/files", nil)
	require.Equal(t, 200, a.status, "%s", a.raw)
	first := a.json["files"].([]any)[0].(map[string]any)
	name = first["name"].(string)
	file := c.call(c.bus, "GET", "/v1/settlement/"+day+"/files/"+name, nil)
	require.Equal(t, 200, file.status, "%s", file.raw)
	sum := sha256.Sum256(file.raw)
	require.Equal(t, first["sha256"], hex.EncodeToString(sum[:]))
	return name, file.header.Get("ETag"), file.raw
}

func TestAnAcquirersFiles(t *testing.T) {
	c := start(t)
	c.tapped()
	_, err := settlement.Close(t.Context(), c.store, day, settlement.Options{Now: noon.Add(8 * time.Hour), Location: time.UTC})
	require.NoError(t, err)
	w := c.watch()
	w.loose = true
	openapi3filter.RegisterBodyDecoder("text/csv", openapi3filter.PlainBodyDecoder) // a part of a file is no CSV
	name, etag, body := c.fetch(t)
	require.Equal(t, "bus-2026-11-24-report.csv", name)
	path := "/v1/settlement/" + day + "/files/" + name
	part := c.call(c.bus, "GET", path, nil, "Range", "bytes=10-19")
	require.Equal(t, 206, part.status)
	require.Equal(t, body[10:20], part.raw)
	require.Equal(t, 304, c.call(c.bus, "GET", path, nil, "If-None-Match", etag).status)
	require.Equal(t, 416, c.call(c.bus, "GET", path, nil, "Range", "bytes=99999999-").status)
	sig := c.call(c.bus, "GET", path+".sig", nil)
	require.Equal(t, 200, sig.status)
	require.Contains(t, string(sig.raw), "purselane-signature 1\n")

	for _, none := range []string{path[:len(path)-len(name)] + "metro-2026-11-24-report.csv", path[:len(path)-len(name)] + "none.csv"} {
		requireProblem(t, c.call(c.bus, "GET", none, nil), 404, "not-found")
	}
	requireProblem(t, c.call(c.metro, "GET", path, nil), 404, "not-found")
	for _, p := range []string{"/v1/settlement/" + day + "/files", path} {
		requireProblem(t, c.call("", "GET", p, nil), 401, "unauthorised")
		requireProblem(t, c.call(c.operator, "GET", p, nil), 403, "forbidden")
	}
	requireProblem(t, c.call(c.bus, "GET", "/v1/settlement/2026-11-25/files", nil), 404, "not-closed")
	requireProblem(t, c.call(c.bus, "GET", "/v1/settlement/2026-02-30/files", nil), 404, "not-found")
	requireProblem(t, c.call(c.bus, "GET", "/v1/settlement/days/files", nil), 400, "request")
	requireProblem(t, c.call(c.bus, "GET", path+"%20x", nil), 400, "request")
	c.server.Client().Transport = w.next // what follows is not in the document
	post := c.call(c.bus, "POST", path, nil)
	requireProblem(t, post, 405, "method")
	require.Equal(t, "GET, HEAD", post.header.Get("Allow"))

	var noted []store.Delivery
	require.NoError(t, c.store.View(t.Context(), func(tx *store.Tx) (err error) { noted, err = tx.Deliveries(t.Context(), day); return err }))
	require.Len(t, noted, 2, "a part is no delivery")
	c.server.Close()
	require.Contains(t, c.log.String(), "operation=getSettlementFile caller=kiosk-bus status=200")
}
