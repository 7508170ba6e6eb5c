package delivery_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/settlement/acquirerfile"
	"github.com/purselane/purselane/backend/settlement/delivery"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/store/emptystore"
	"github.com/purselane/purselane/internal/ids"
)

const day = "2026-11-24"

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))

// closed is a store with one closed day of two acquirers.
func closed(t *testing.T) *store.Store {
	s, err := store.Open(t.Context(), emptystore.At(t, filepath.Join(t.TempDir(), "x.db")), store.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.PutAcquirer(t.Context(), store.Acquirer{ID: "bus", Name: "Bus"}), tx.PutAcquirer(t.Context(), store.Acquirer{ID: "metro", Name: "Metro"}))
	}))
	_, err = settlement.Close(t.Context(), s, day, settlement.Options{Now: time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)})
	require.NoError(t, err)
	return s
}

func filesOf(t *testing.T, s *store.Store, a ids.AcquirerID) []settlement.AcquirerFile {
	all, err := settlement.SignedFiles(t.Context(), s, day, key)
	require.NoError(t, err)
	var out []settlement.AcquirerFile
	for _, f := range all {
		if f.Acquirer == a {
			out = append(out, f)
		}
	}
	require.Len(t, out, 6)
	return out
}

func deliveries(t *testing.T, s *store.Store) []store.Delivery {
	var out []store.Delivery
	require.NoError(t, s.View(t.Context(), func(tx *store.Tx) (err error) { out, err = tx.Deliveries(t.Context(), day); return err }))
	return out
}

func TestAnAcquirerFetchesItsOwnFiles(t *testing.T) {
	s := closed(t)
	token, hash := api.NewToken(bytes.NewReader(bytes.Repeat([]byte{3}, 32)))
	operator, operatorHash := api.NewToken(bytes.NewReader(bytes.Repeat([]byte{4}, 32)))
	tokens, err := api.LoadTokens([]byte("version: 1\ntokens:\n  - {name: a, role: agent, acquirer: bus, sha256: " + hash + "}\n  - {name: o, role: operator, sha256: " + operatorHash + "}\n"))
	require.NoError(t, err)
	web := httptest.NewServer(delivery.Handler(delivery.Config{Store: s, Key: key, Who: tokens.AgentOf}))
	defer web.Close()
	get := func(token, path string, more ...string) (int, []byte, http.Header) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", web.URL+"/v1/settlement/"+path, nil)
		require.NoError(t, err)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		if len(more) == 2 {
			r.Header.Set(more[0], more[1])
		}
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		var b bytes.Buffer
		_, err = b.ReadFrom(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, b.Bytes(), answer.Header
	}
	want := filesOf(t, s, "bus")
	status, body, _ := get(token, day+"/files")
	require.Equal(t, 200, status)
	var list struct {
		Files []struct {
			Name, SHA256 string
			Size         int
		}
	}
	require.NoError(t, json.Unmarshal(body, &list))
	require.Len(t, list.Files, 6)
	require.Equal(t, "bus-2026-11-24-report.csv", list.Files[0].Name)

	status, body, head := get(token, day+"/files/"+want[0].Name)
	require.Equal(t, 200, status)
	require.Equal(t, want[0].Body, body)
	require.Equal(t, `"`+list.Files[0].SHA256+`"`, head.Get("ETag"))
	status, sig, _ := get(token, day+"/files/"+want[1].Name)
	require.Equal(t, 200, status)
	require.NoError(t, acquirerfile.Verify(key.Public().(ed25519.PublicKey), body, sig))
	status, part, _ := get(token, day+"/files/"+want[2].Name, "Range", "bytes=10-19")
	require.Equal(t, 206, status)
	require.Equal(t, want[2].Body[10:20], part)
	status, _, _ = get(token, day+"/files/"+want[0].Name, "If-None-Match", head.Get("ETag"))
	require.Equal(t, 304, status)

	for path, c := range map[string]struct {
		token string
		want  int
	}{
		day + "/files/metro-2026-11-24-report.csv": {token, 404}, // another's
		day + "/files/none.csv":                    {token, 404},
		"2026-11-25/files":                         {token, 404}, // not closed
		"2026-02-30/files":                         {token, 404},
		day + "/files":                             {operator, 401},
		day + "/files/" + want[0].Name:             {"", 401},
		day + "/files/" + want[1].Name:             {"x", 401},
	} {
		status, body, head := get(c.token, path)
		require.Equal(t, c.want, status, path)
		require.Equal(t, "application/problem+json", head.Get("Content-Type"), path)
		require.NotContains(t, string(body), "row,", path)
	}
	all := deliveries(t, s)
	require.Len(t, all, 2, "what was fetched whole")
	require.Equal(t, "https", all[0].Way)
	require.Equal(t, list.Files[0].SHA256, all[0].Digest)
	require.Equal(t, 1, all[0].Attempts)
}

// server is an SFTP server of one user in a folder.
type server struct {
	address, folder string
	host            ssh.Signer
}

func signer(t *testing.T, seed byte) ssh.Signer {
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32)))
	require.NoError(t, err)
	return s
}

var user = byte(40)

func newServer(t *testing.T) *server {
	s := &server{folder: t.TempDir(), host: signer(t, 41)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	s.address = l.Addr().String()
	known := signer(t, user).PublicKey().Marshal()
	config := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if c.User() == "purselane" && bytes.Equal(k.Marshal(), known) {
			return nil, nil
		}
		return nil, errors.New("unknown")
	}}
	config.AddHostKey(s.host)
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(raw, config)
		}
	}()
	return s
}

func (s *server) serve(raw net.Conn, config *ssh.ServerConfig) {
	defer raw.Close()
	_, channels, requests, err := ssh.NewServerConn(raw, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, asked, err := c.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range asked {
				_ = r.Reply(r.Type == "subsystem", nil)
			}
		}()
		sub, err := sftp.NewServer(channel, sftp.WithServerWorkingDirectory(s.folder))
		if err != nil {
			return
		}
		go func() { _ = sub.Serve(); channel.Close() }()
	}
}

func (s *server) target() delivery.Target {
	return delivery.Target{Acquirer: "bus", Address: s.address, User: "purselane", KeyFile: "k", HostKey: string(ssh.MarshalAuthorizedKey(s.host.PublicKey()))}
}

func (s *server) names(t *testing.T) []string {
	all, err := os.ReadDir(s.folder)
	require.NoError(t, err)
	var out []string
	for _, e := range all {
		out = append(out, e.Name())
	}
	return out
}

var atOnce = []time.Duration{0, 0, 0}

func TestFilesAreBroughtOverSFTP(t *testing.T) {
	s, to := closed(t), newServer(t)
	files := filesOf(t, s, "bus")
	p := delivery.Pusher{Store: s, Waits: atOnce}
	n, err := p.Push(t.Context(), to.target(), signer(t, user), day, files)
	require.NoError(t, err)
	require.Equal(t, 6, n)
	require.Len(t, to.names(t), 6, "no part is left")
	for _, f := range files {
		got, err := os.ReadFile(filepath.Join(to.folder, f.Name))
		require.NoError(t, err)
		require.Equal(t, f.Body, got)
	}
	before, err := os.Stat(filepath.Join(to.folder, files[0].Name))
	require.NoError(t, err)
	n, err = p.Push(t.Context(), to.target(), signer(t, user), day, files)
	require.NoError(t, err)
	require.Equal(t, 6, n, "found there")
	after, err := os.Stat(filepath.Join(to.folder, files[0].Name))
	require.NoError(t, err)
	require.Equal(t, before.ModTime(), after.ModTime())
	for _, d := range deliveries(t, s) {
		require.Equal(t, "delivered", d.State)
		require.Equal(t, 2, d.Attempts)
	}

	// The files of a day that was delivered have changed: somebody must know why.
	other := append([]settlement.AcquirerFile{}, files...)
	other[0].Body = []byte("other")
	_, err = p.Push(t.Context(), to.target(), signer(t, user), day, other)
	require.ErrorIs(t, err, delivery.ErrChanged)
}

// A part that a broken try left is gone on from, whatever is in it.
func TestAPartIsGoneOnFrom(t *testing.T) {
	for name, part := range map[string]func([]byte) []byte{
		"its beginning": func(b []byte) []byte { return b[:len(b)/2] }, "all of it": func(b []byte) []byte { return b }, "nothing": func([]byte) []byte { return nil },
		"something else": func([]byte) []byte { return []byte("x") }, "too much": func(b []byte) []byte { return append(bytes.Clone(b), 'x') },
	} {
		t.Run(name, func(t *testing.T) {
			s, to := closed(t), newServer(t)
			f := filesOf(t, s, "bus")[:1]
			require.NoError(t, os.WriteFile(filepath.Join(to.folder, f[0].Name+".part"), part(f[0].Body), 0o644))
			n, err := delivery.Pusher{Store: s, Waits: atOnce}.Push(t.Context(), to.target(), signer(t, user), day, f)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			got, err := os.ReadFile(filepath.Join(to.folder, f[0].Name))
			require.NoError(t, err)
			require.Equal(t, f[0].Body, got)
			require.Len(t, to.names(t), 1)
		})
	}
}

func TestAFileOfOtherContentIsNotOverwritten(t *testing.T) {
	s, to := closed(t), newServer(t)
	files := filesOf(t, s, "bus")
	path := filepath.Join(to.folder, files[2].Name)
	require.NoError(t, os.WriteFile(path, []byte("theirs"), 0o644))
	n, err := delivery.Pusher{Store: s, Waits: atOnce}.Push(t.Context(), to.target(), signer(t, user), day, files)
	require.ErrorIs(t, err, delivery.ErrOther)
	require.Equal(t, 2, n)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "theirs", string(got))
	all := deliveries(t, s)
	require.Len(t, all, 3)
	states := map[string]string{}
	for _, d := range all {
		states[d.Name] = d.State
		require.Equal(t, 1, d.Attempts, "trying again would not help")
	}
	require.Equal(t, map[string]string{files[0].Name: "delivered", files[1].Name: "delivered", files[2].Name: "failed"}, states)
}

func TestAnotherHostIsNotBelieved(t *testing.T) {
	s, to := closed(t), newServer(t)
	target := to.target()
	target.HostKey = string(ssh.MarshalAuthorizedKey(signer(t, 77).PublicKey()))
	var dials atomic.Int64
	p := delivery.Pusher{Store: s, Waits: atOnce, Dial: func(ctx context.Context, a string) (net.Conn, error) {
		dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, "tcp", a)
	}}
	_, err := p.Push(t.Context(), target, signer(t, user), day, filesOf(t, s, "bus"))
	require.ErrorContains(t, err, "host key")
	require.Equal(t, int64(1), dials.Load())
	require.Empty(t, to.names(t))
	_, err = p.Push(t.Context(), to.target(), signer(t, 99), day, filesOf(t, s, "bus"))
	require.ErrorContains(t, err, "authenticate", "they do not know our key")
}

// breaking is a connection that breaks after so many bytes have been written.
type breaking struct {
	net.Conn
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		b.Conn.Close()
		return 0, errors.New("the line broke")
	}
	return b.Conn.Write(p)
}

// Wherever the line breaks, a later try brings what is missing, and no name ever stands for half a file.
func TestTheLineBreaksAnywhere(t *testing.T) {
	s := closed(t)
	files := filesOf(t, s, "bus")
	for limit := 200; limit < 20_000; limit += 900 {
		to := newServer(t)
		tries := 0
		p := delivery.Pusher{Store: s, Waits: atOnce, Dial: func(ctx context.Context, a string) (net.Conn, error) {
			raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", a)
			if tries++; tries == 1 && err == nil {
				raw = &breaking{raw, limit}
			}
			return raw, err
		}}
		n, err := p.Push(t.Context(), to.target(), signer(t, user), day, files)
		require.NoError(t, err)
		require.Equal(t, 6, n)
		require.Len(t, to.names(t), 6)
		for _, f := range files {
			got, err := os.ReadFile(filepath.Join(to.folder, f.Name))
			require.NoError(t, err)
			require.Equal(t, f.Body, got)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	s := closed(t)
	tries := 0
	p := delivery.Pusher{Store: s, Waits: atOnce, Dial: func(context.Context, string) (net.Conn, error) { tries++; return nil, errors.New("no route") }}
	_, err := p.Push(t.Context(), newServer(t).target(), signer(t, user), day, filesOf(t, s, "bus"))
	require.ErrorContains(t, err, "no route")
	require.Equal(t, 4, tries)
	all := deliveries(t, s)
	require.Len(t, all, 1)
	require.Equal(t, 4, all[0].Attempts)
	require.Contains(t, all[0].Error, "no route")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tries = 0
	_, err = p.Push(ctx, newServer(t).target(), signer(t, user), day, nil)
	require.Error(t, err)
	require.LessOrEqual(t, tries, 1)
}

func TestTargets(t *testing.T) {
	host := string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(signer(t, 41).PublicKey())))
	good := "version: 1\nsftp:\n  - {acquirer: bus, address: 'sftp.example:22', user: u, key_file: k, host_key: " + host + ", folder: in}\n"
	all, err := delivery.ParseTargets([]byte(good))
	require.NoError(t, err)
	require.Equal(t, []delivery.Target{{Acquirer: "bus", Address: "sftp.example:22", User: "u", KeyFile: "k", HostKey: host, Folder: "in"}}, all)
	_, err = delivery.ParseTargets([]byte("version: 1\nsftp:\n  - {acquirer: '', address: x, user: '', host_key: y}\n  - {acquirer: ''}\n"))
	for _, want := range []string{"sftp[0]: acquirer", "sftp[0]: address", "user and key_file", "sftp[0]: host_key", "sftp[1]"} {
		require.ErrorContains(t, err, want)
	}
	for _, bad := range []string{"", "version: 2", "version: 1\nftp: []", "version: 1\n---\nversion: 1"} {
		_, err := delivery.ParseTargets([]byte(bad))
		require.Error(t, err, bad)
	}
}

func FuzzParseTargets(f *testing.F) {
	f.Add([]byte("version: 1\nsftp:\n  - {acquirer: bus, address: 'a:22', user: u, key_file: k, host_key: ssh-ed25519 AAAA}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := delivery.ParseTargets(raw)
		if err != nil {
			return
		}
		for _, target := range all {
			require.NotEmpty(t, target.HostKey)
			require.NoError(t, ids.Check(string(target.Acquirer)))
		}
	})
}
