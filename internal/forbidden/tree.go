package forbidden

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// Totals are what was looked through.
type Totals struct {
	Files int
	Bytes int64
	Found int
}

const (
	maxUnpacked = 1 << 30 // bytes of a packed file that are looked through
	maxZip      = 256 << 20
)

// Tree scans every regular file below a folder, and what is in gzip and zip files one level deep. A file that cannot be read is an error at the end: it has not been looked
// through.
func (s *Scanner) Tree(root fs.FS, found func(path string, f Found)) (Totals, error) {
	var t Totals
	var faults []error
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			err = s.file(root, path, &t, found)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path, err))
		}
		return nil
	})
	return t, errors.Join(append(faults, err)...)
}

func (s *Scanner) file(root fs.FS, path string, t *Totals, found func(string, Found)) error {
	t.Files++
	tell := func(where string) func(Found) {
		return func(f Found) { t.Found++; found(where, f) }
	}
	file, err := root.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() // it was only read
	if err := s.Scan(counting{file, &t.Bytes}, tell(path)); err != nil {
		return err
	}
	switch {
	case strings.HasSuffix(path, ".gz"):
		again, err := root.Open(path)
		if err != nil {
			return err
		}
		defer again.Close()
		z, err := gzip.NewReader(again)
		if err != nil {
			return err
		}
		return s.unpacked(z, t, tell(path+" (unpacked)"))
	case strings.HasSuffix(path, ".zip"):
		raw, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		if len(raw) > maxZip {
			return fmt.Errorf("%d bytes: a zip file of at most %d is unpacked", len(raw), maxZip)
		}
		z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			return err
		}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				return err
			}
			if err := errors.Join(s.unpacked(r, t, tell(path+"/"+f.Name)), r.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Scanner) unpacked(r io.Reader, t *Totals, found func(Found)) error {
	before := t.Bytes
	if err := s.Scan(counting{io.LimitReader(r, maxUnpacked), &t.Bytes}, found); err != nil {
		return err
	}
	if t.Bytes-before == maxUnpacked {
		return fmt.Errorf("unpacks to %d bytes or more: only so many were looked through", maxUnpacked)
	}
	return nil
}

type counting struct {
	io.Reader
	n *int64
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	*c.n += int64(n)
	return n, err
}
