// Package softhsm makes tokens of SoftHSM, an HSM in software, for tests and benches of the PKCS#11 door (Debian package
// softhsm2). Start with [New]. Nothing of the product imports it.
package softhsm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// EnvModule names the library where it does not lie in one of the usual places.
const EnvModule = "PURSELANE_SOFTHSM"

// Token is a token of SoftHSM with a folder of its own.
type Token struct {
	Module string // path of SoftHSM's library
	Label  string
	PIN    string // of its user
	SOPIN  string // of its security officer
	Dir    string // its folder; without it the token is gone
}

// ErrMissing says that SoftHSM is not installed.
var ErrMissing = errors.New("SoftHSM is missing: install the Debian package softhsm2 (scripts/setup.sh hsm)")

// Module returns the path of SoftHSM's library.
func Module() (string, error) {
	if m := os.Getenv(EnvModule); m != "" {
		return m, nil
	}
	places := []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"}
	for _, p := range places {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", ErrMissing
}

// New makes a token in dir. It points this process at dir (SOFTHSM2_CONF), so there is one at a time; setenv is os.Setenv, or a
// test's own.
func New(dir string, setenv func(name, value string)) (Token, error) {
	module, err := Module()
	if err != nil {
		return Token{}, err
	}
	t := Token{Module: module, Label: "scheme", PIN: "1234", SOPIN: "87654321", Dir: filepath.Join(dir, "tokens")}
	conf := filepath.Join(dir, "softhsm2.conf")
	text := "directories.tokendir = " + t.Dir + "\nobjectstore.backend = file\nlog.level = ERROR\n"
	if err := errors.Join(os.MkdirAll(t.Dir, 0o700), os.WriteFile(conf, []byte(text), 0o600)); err != nil {
		return Token{}, err
	}
	setenv("SOFTHSM2_CONF", conf)
	return t, t.util("--init-token", "--free", "--label", t.Label, "--so-pin", t.SOPIN, "--pin", t.PIN)
}

func (t Token) util(args ...string) error {
	out, err := exec.Command("softhsm2-util", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("softhsm2-util %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
