package api

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// unixPrefix marks the path of a unix socket.
const unixPrefix = "unix:"

// CheckAddress says what is wrong with an address: HOST:PORT, or unix:PATH. One that other machines can reach needs a token.
func CheckAddress(address string, token bool) error {
	if path, found := strings.CutPrefix(address, unixPrefix); found {
		if path == "" {
			return errors.New("want a path behind unix:")
		}
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return fmt.Errorf("%q: want an address such as 127.0.0.1:8801, or unix:/run/purselane/api.sock", address)
	}
	ip := net.ParseIP(host)
	if host != "localhost" && (ip == nil || !ip.IsLoopback()) && !token {
		return fmt.Errorf("%s: other machines can reach it: want a token, or a loopback address", address)
	}
	return nil
}

// Listen opens the address. A unix socket is for its owner and group; one that a dead process left behind is replaced, one that answers is not.
func Listen(address string) (net.Listener, error) {
	path, found := strings.CutPrefix(address, unixPrefix)
	if !found {
		return net.Listen("tcp", address)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if c, err := net.Dial("unix", path); err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("%s: another process listens there", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}
