package keys

import "os"

// ParseRing is the parser of the inner form.
var ParseRing = parseRing

// Text is the inner form of a sealed file.
func (r *Ring) Text() ([]byte, error) { return r.text() }

// WriteNew writes a new file on a disk that a test holds.
func WriteNew(path, text string, sync func(*os.File) error, link func(from, name string) error, syncDir func(dir string) error) error {
	return disk{sync, link, syncDir}.writeNew(path, func(f *os.File) error { _, err := f.WriteString(text); return err })
}
