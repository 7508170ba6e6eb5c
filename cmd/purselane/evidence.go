package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/evidence"
	"github.com/purselane/purselane/backend/settlement/acquirerfile"
	"github.com/purselane/purselane/backend/store"
)

// EvidenceCmd are the commands of a day's evidence; docs/evidence.md is their page.
type EvidenceCmd struct {
	Export  EvidenceExportCmd  `cmd:"" help:"Write a clearing day as one signed file: what came, what became of it, what was booked."`
	Devices EvidenceDevicesCmd `cmd:"" help:"Print the public keys of the terminals, for those who verify."`
	Verify  EvidenceVerifyCmd  `cmd:"" help:"Check such a file without a database."`
}

// EvidenceDevicesCmd is `purselane evidence devices`.
type EvidenceDevicesCmd struct{ schemeFolder }

// Run prints a line for each terminal.
func (c *EvidenceDevicesCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withStore(ctx, func(s *store.Store) error {
		return s.View(ctx, func(tx *store.Tx) error {
			all, err := tx.Terminals(ctx)
			for _, m := range all {
				fmt.Fprintf(k.Stdout, "%s %x\n", m.ID, []byte(m.PublicKey))
			}
			return err
		})
	})
}

// EvidenceExportCmd is `purselane evidence export`.
type EvidenceExportCmd struct {
	schemeFolder
	Day string `required:"" placeholder:"YYYY-MM-DD" help:"The clearing day. An open one may come out different later, and the file says that it was open."`
	Out string `required:"" placeholder:"FILE" type:"path" help:"The new file."`
}

// Run writes the file.
func (c *EvidenceExportCmd) Run(ctx context.Context, k *kong.Kong) error {
	key, err := c.fileKey()
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		var m evidence.Manifest
		err := streamNew(c.Out, 0o600, func(w io.Writer) error {
			var err error
			m, err = evidence.Export(ctx, s, c.Day, key, w)
			return err
		})
		if err != nil {
			return err
		}
		printEvidence(k.Stdout, m)
		fmt.Fprintf(k.Stdout, "it verifies with the key %s\n", hex.EncodeToString(key.Public().(ed25519.PublicKey)))
		return nil
	})
}

// EvidenceVerifyCmd is `purselane evidence verify`. It needs no scheme: an auditor runs it.
type EvidenceVerifyCmd struct {
	File    string `arg:"" type:"existingfile" help:"The file."`
	Key     string `required:"" placeholder:"HEX" help:"The scheme's public key, as evidence export prints it. Get it from the scheme, not with the file."`
	Devices string `placeholder:"FILE" type:"existingfile" help:"Keys of the terminals, as evidence devices prints them: each batch's signature is checked too."`
}

// Run checks the file.
func (c *EvidenceVerifyCmd) Run(k *kong.Kong) error {
	key, err := acquirerfile.ParseKey(c.Key)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close() // it was only read
	r := bufio.NewReaderSize(f, 1<<20)
	var m evidence.Manifest
	var signed evidence.Signed
	if c.Devices == "" {
		m, err = evidence.Verify(r, key)
	} else {
		m, signed, err = verifyDevices(r, key, c.Devices)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	printEvidence(k.Stdout, m)
	if c.Devices != "" {
		fmt.Fprintf(k.Stdout, "%d batches signed by their terminals, %d of them cannot be read; %d records stand in them, %d came in a batch of an earlier day\n",
			signed.Batches, signed.Unreadable, signed.Records, signed.Elsewhere)
	}
	fmt.Fprintln(k.Stdout, "it is whole, and signed with that key")
	return nil
}

func verifyDevices(r io.Reader, key ed25519.PublicKey, file string) (evidence.Manifest, evidence.Signed, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return evidence.Manifest{}, evidence.Signed{}, err
	}
	devices, err := evidence.ParseDevices(raw)
	if err != nil {
		return evidence.Manifest{}, evidence.Signed{}, fmt.Errorf("--devices %s: %w", file, err)
	}
	return evidence.VerifyDevices(r, key, devices)
}

func printEvidence(w io.Writer, m evidence.Manifest) {
	state := "open"
	if m.Closed {
		state = fmt.Sprintf("closed, report %.16s…", m.Report)
	}
	fmt.Fprintf(w, "%s (%s): %d batches, %d records%s, %d entries with debits of %v, %d posting groups, the last %d (%.16s…)\n", m.Day, state,
		m.Batches, m.Records, byVerdict(m.Verdicts), m.Entries, m.Debits, m.Groups, m.LastGroup, m.LastHash)
}

// streamNew is writeNew for what does not fit into memory.
func streamNew(path string, mode os.FileMode, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists; it was not touched", path)
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // after the rename there is nothing of that name
	w := bufio.NewWriterSize(temp, 1<<20)
	err = write(w)
	if err := errors.Join(err, w.Flush(), temp.Chmod(mode), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// byVerdict tells how many records had which end, in the order of the words.
func byVerdict(n map[string]int) string {
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%d %s", n[v], v))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
