package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/clock"
)

var (
	// ErrOther: the server has a file of that name with other content. It is not overwritten.
	ErrOther = errors.New("a file of that name with other content is there")
	// ErrChanged: the file was delivered before, with other content.
	ErrChanged = errors.New("it was delivered before with other content")
)

// Pusher brings files to SFTP servers.
type Pusher struct {
	Store *store.Store
	Clock clock.Clock     // default: the machine's
	Waits []time.Duration // before each further try; default 1 s, 5 s, 30 s
	// Dial opens the connection; default: TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Bounds of a connection.
const (
	dialTime  = 15 * time.Second
	tryTime   = 10 * time.Minute // of one try with all files
	mostBytes = 1 << 30          // of a file that is there and read to compare
)

// Push brings an acquirer's files of a day to its server, in order, each under a name of its own until it is whole. A file that is there with
// the same content is left; what is left of a broken try is gone on from. It tries again after a failure of the line; not where the server says
// who it is wrongly, or has another file of a name. It returns how many files it brought or found. Every file's fate is in the store.
func (p Pusher) Push(ctx context.Context, t Target, key ssh.Signer, day string, files []settlement.AcquirerFile) (int, error) {
	if p.Clock == nil {
		p.Clock = clock.System{}
	}
	if p.Waits == nil {
		p.Waits = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}
	}
	if p.Dial == nil {
		p.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "tcp", address)
		}
	}
	if err := p.unchanged(ctx, day, files); err != nil {
		return 0, err
	}
	done := 0
	for try := 0; ; try++ {
		n, err := p.try(ctx, t, key, day, files[done:])
		done += n
		if err == nil || try == len(p.Waits) || errors.Is(err, ErrOther) || errors.Is(err, errHost) || ctx.Err() != nil {
			if err != nil {
				return done, fmt.Errorf("deliver to %s at %s: %w", t.Acquirer, t.Address, err)
			}
			return done, nil
		}
		wait := time.NewTimer(p.Waits[try])
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
}

// unchanged refuses files that were delivered with other content: a closed day does not change.
func (p Pusher) unchanged(ctx context.Context, day string, files []settlement.AcquirerFile) error {
	return p.Store.View(ctx, func(tx *store.Tx) error {
		for _, f := range files {
			have, err := tx.DeliveredDigest(ctx, store.Delivery{Acquirer: f.Acquirer, Day: day, Name: f.Name, Way: WaySFTP})
			if err != nil {
				return err
			}
			if have != "" && have != digest(f.Body) {
				return fmt.Errorf("%s: %w: its SHA-256 was %.16s…", f.Name, ErrChanged, have)
			}
		}
		return nil
	})
}

// try brings the files over one connection, and says how many of them are there then.
func (p Pusher) try(ctx context.Context, t Target, key ssh.Signer, day string, files []settlement.AcquirerFile) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	client, err := p.connect(ctx, t, key)
	if err != nil {
		return 0, errors.Join(err, p.note(ctx, day, files[:min(1, len(files))], err))
	}
	defer client.Close()
	for i, f := range files {
		err := put(client, path.Join(t.Folder, f.Name), f.Body)
		if noted := p.note(ctx, day, files[i:i+1], err); err != nil || noted != nil {
			if err != nil {
				err = fmt.Errorf("%s: %w", f.Name, err)
			}
			return i, errors.Join(err, noted)
		}
	}
	return len(files), nil
}

func (p Pusher) note(ctx context.Context, day string, files []settlement.AcquirerFile, tried error) error {
	ctx = context.WithoutCancel(ctx)
	return p.Store.Update(ctx, func(tx *store.Tx) error {
		for _, f := range files {
			d := store.Delivery{Acquirer: f.Acquirer, Day: day, Name: f.Name, Way: WaySFTP, Digest: digest(f.Body), State: delivered, TriedAt: p.Clock.Now()}
			if tried != nil {
				d.State, d.Error = failed, tried.Error()
			}
			if err := tx.NoteDelivery(ctx, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// errHost: the server showed another key than the one it must have.
var errHost = errors.New("the server shows another host key than the one of delivery.yaml: ask its owner before you change it")

// session is an SFTP session that ends with its context.
type session struct {
	*sftp.Client
	conn *ssh.Client
	stop func() bool
}

func (s *session) Close() error {
	s.stop()
	return errors.Join(s.Client.Close(), s.conn.Close())
}

func (p Pusher) connect(ctx context.Context, t Target, key ssh.Signer) (*session, error) {
	host, err := t.hostKey()
	if err != nil {
		return nil, err
	}
	raw, err := p.Dial(ctx, t.Address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	wrong := false
	conn, channels, requests, err := ssh.NewClientConn(raw, t.Address, &ssh.ClientConfig{
		User: t.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyAlgorithms: algorithmsOf(host), Timeout: dialTime,
		HostKeyCallback: func(_ string, _ net.Addr, shown ssh.PublicKey) error {
			if wrong = !bytes.Equal(shown.Marshal(), host.Marshal()); wrong {
				return errHost
			}
			return nil
		},
	})
	if err != nil {
		stop()
		raw.Close()
		if wrong {
			return nil, errHost
		}
		return nil, err
	}
	client := ssh.NewClient(conn, channels, requests)
	session := &session{conn: client, stop: stop}
	if session.Client, err = sftp.NewClient(client); err != nil {
		stop()
		return nil, errors.Join(err, client.Close())
	}
	return session, nil
}

// algorithmsOf are those in which a server may prove that it has the key.
func algorithmsOf(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}

// partSuffix ends the name of a file that is not whole.
const partSuffix = ".part"

// put brings one file: under another name first, from where a broken try left off, and then under its own, in one step.
func put(c *session, name string, body []byte) error {
	have, err := fetch(c, name)
	switch {
	case err == nil && bytes.Equal(have, body):
		return nil
	case err == nil:
		return fmt.Errorf("%s: %w", name, ErrOther)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	part := name + partSuffix
	begun, err := fetch(c, part)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	from, flags := len(begun), os.O_WRONLY
	if len(begun) == 0 || !bytes.HasPrefix(body, begun) {
		from, flags = 0, os.O_WRONLY|os.O_CREATE|os.O_TRUNC
	}
	f, err := c.OpenFile(part, flags)
	if err != nil {
		return err
	}
	if _, err := f.Seek(int64(from), io.SeekStart); err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.Write(body[from:])
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	whole, err := fetch(c, part)
	if err != nil {
		return err
	}
	if !bytes.Equal(whole, body) {
		return fmt.Errorf("%s: the server has %d other bytes than were written", part, len(whole))
	}
	return c.Rename(part, name) // refuses to replace a file that somebody else put there meanwhile
}

// fetch reads a file of the server. Error: os.ErrNotExist.
func fetch(c *session, name string) ([]byte, error) {
	f, err := c.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	if err == nil && len(raw) > mostBytes {
		err = fmt.Errorf("%s: %w: more than %d bytes", name, ErrOther, mostBytes)
	}
	return raw, err
}
