package delivery

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/ssh"

	"github.com/purselane/purselane/internal/ids"
)

// Target is an acquirer's SFTP server.
type Target struct {
	Acquirer ids.AcquirerID `yaml:"acquirer"`
	Address  string         `yaml:"address"`  // host:port
	User     string         `yaml:"user"`     //
	KeyFile  string         `yaml:"key_file"` // our private key, as ssh-keygen makes it
	HostKey  string         `yaml:"host_key"` // the server's, as in known_hosts without the name: no other is believed
	Folder   string         `yaml:"folder"`   // there; empty: where the user lands
}

// maxTargets bounds a file of targets.
const maxTargets = 1000

// ParseTargets reads delivery.yaml, strictly, and tells every fault at once.
func ParseTargets(raw []byte) ([]Target, error) {
	var f struct {
		Version int      `yaml:"version"`
		SFTP    []Target `yaml:"sftp"`
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("delivery: %w", err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("delivery: want one document")
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("delivery: version %d: want 1", f.Version)
	}
	if len(f.SFTP) > maxTargets {
		return nil, fmt.Errorf("delivery: %d targets: want at most %d", len(f.SFTP), maxTargets)
	}
	var all []error
	seen := map[ids.AcquirerID]bool{}
	for i, t := range f.SFTP {
		bad := func(format string, args ...any) {
			all = append(all, fmt.Errorf("delivery: sftp[%d]: "+format, append([]any{i}, args...)...))
		}
		if err := ids.Check(string(t.Acquirer)); err != nil {
			bad("acquirer: %w", err)
		}
		if seen[t.Acquirer] {
			bad("acquirer %s is there twice", t.Acquirer)
		}
		seen[t.Acquirer] = true
		if host, port, err := net.SplitHostPort(t.Address); err != nil || host == "" || port == "" {
			bad("address %q: want host:port", t.Address)
		}
		if t.User == "" || t.KeyFile == "" {
			bad("user and key_file are needed")
		}
		if strings.Contains(t.Folder, "\x00") {
			bad("folder: a zero byte")
		}
		if _, err := t.hostKey(); err != nil {
			bad("host_key: %w", err)
		}
	}
	return f.SFTP, errors.Join(all...)
}

func (t Target) hostKey() (ssh.PublicKey, error) {
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(t.HostKey))
	if err != nil || len(rest) != 0 {
		return nil, errors.New("want one public key, such as 'ssh-ed25519 AAAA…': ask the server's owner, or take it from known_hosts")
	}
	return key, nil
}
