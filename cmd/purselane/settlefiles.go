package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/settlement/acquirerfile"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/card/keys"
)

// SettleFilesCmd is `purselane settle files`.
type SettleFilesCmd struct {
	schemeFolder
	Day string `required:"" placeholder:"YYYY-MM-DD" help:"A closed clearing day."`
	Out string `placeholder:"FOLDER" type:"path" help:"Where the files go, a folder for each acquirer. Default: settlement/DAY/acquirers in the scheme's folder."`
}

// Run writes the files, or finds them there with the same content.
func (c *SettleFilesCmd) Run(ctx context.Context, k *kong.Kong) error {
	key, err := c.fileKey()
	if err != nil {
		return err
	}
	if c.Out == "" {
		c.Out = c.path(filepath.Join("settlement", c.Day, "acquirers"))
	}
	return c.withStore(ctx, func(s *store.Store) error {
		files := 0
		err := settlement.EachSignedFile(ctx, s, c.Day, key, func(f settlement.AcquirerFile) error {
			files++
			dir := filepath.Join(c.Out, string(f.Acquirer))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			return writeOnce(filepath.Join(dir, f.Name), f.Body)
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(k.Stdout, "%d files in %s\nthey verify with the key %x\n", files, c.Out, key.Public())
		return nil
	})
}

// fileKey is the key that signs acquirers' files: the one that signs receipts. What is signed begins with another domain.
func (f schemeFolder) fileKey() (ed25519.PrivateKey, error) {
	ring, err := f.ring()
	if err != nil {
		return nil, err
	}
	return ring.SigningKey(keys.SecretReceipt)
}

// SettleVerifyFileCmd is `purselane settle verify-file`. It needs no scheme: an acquirer runs it too.
type SettleVerifyFileCmd struct {
	File      string `arg:"" type:"existingfile" help:"The file."`
	Key       string `required:"" placeholder:"HEX" help:"The scheme's public key, as settle files prints it. Get it from the scheme, not with the file."`
	Signature string `placeholder:"FILE" type:"path" help:"The signature. Default: FILE.sig."`
}

// maxAcquirerFile is far above any: some millions of records.
const maxAcquirerFile = 1 << 30

// Run checks form, count, sum, hash and signature, and says all that is wrong.
func (c *SettleVerifyFileCmd) Run(k *kong.Kong) error {
	key, err := acquirerfile.ParseKey(c.Key)
	if err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	if c.Signature == "" {
		c.Signature = c.File + acquirerfile.SignatureSuffix
	}
	body, err := readUpTo(c.File, maxAcquirerFile)
	if err != nil {
		return err
	}
	sig, err := readUpTo(c.Signature, 4096)
	if err != nil {
		return fmt.Errorf("the signature: %w", err)
	}
	f, err := acquirerfile.Parse(body)
	if err := errors.Join(err, acquirerfile.Verify(key, body, sig)); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	fmt.Fprintf(k.Stdout, "good: %s of %s for %s, %d rows, sum %v %s\n", f.Kind, f.Day, f.Acquirer, len(f.Rows), f.Sum, f.Currency)
	return nil
}

func readUpTo(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return raw, err
}
