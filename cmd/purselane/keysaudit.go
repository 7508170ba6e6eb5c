package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/purselane/purselane/card/keys"
)

// fileAudit is the default name of the audit file, beside the new key file.
const fileAudit = "keys-audit.jsonl"

// now is the clock of dates that are written down.
var now = time.Now

// auditLine says who did what with which key: one line of JSON. It holds no key.
type auditLine struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"` // user of this machine
	Do   string    `json:"do"` // add, ceremony, import, export, split, retire, destroy, hsm-put, hsm-draw
	Keys []string  `json:"keys"`
	File string    `json:"file,omitempty"` // the new one

	CardsExpire keys.Day `json:"cards_expire,omitempty"`
	Until       keys.Day `json:"until,omitempty"`
	Settled     keys.Day `json:"settled,omitempty"`
	Role        string   `json:"role,omitempty"`
	Token       string   `json:"token,omitempty"` // of an HSM
}

// named notes a master key by its name and check value.
func (l *auditLine) named(id keys.ID, check [3]byte) {
	l.Keys = append(l.Keys, fmt.Sprintf("%v %X", id, check))
}

// auditFile is an audit file that has been opened before anything was done: what cannot be written down is not done.
type auditFile struct{ f *os.File }

func openAudit(path, beside string) (auditFile, error) {
	if path == "" {
		path = filepath.Join(filepath.Dir(beside), fileAudit)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return auditFile{}, fmt.Errorf("audit file: %w", err)
	}
	return auditFile{f}, nil
}

// add writes a line, to the disk and to out.
func (a auditFile) add(out io.Writer, l auditLine) error {
	l.At, l.By = now().UTC().Truncate(time.Second), "unknown"
	if u, err := user.Current(); err == nil {
		l.By = u.Username
	}
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := a.f.Write(append(raw, '\n')); err != nil {
		return fmt.Errorf("the work is done, but its audit line is not written: %w: %s", err, raw)
	}
	if err := a.f.Sync(); err != nil {
		return fmt.Errorf("the work is done, but its audit line may be lost: %w: %s", err, raw)
	}
	fmt.Fprintf(out, "audit: %s\n", raw)
	return nil
}

func (a auditFile) close(err error) error { return errors.Join(err, a.f.Close()) }
