package cardacquirer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Folder is where settlement files are put by whoever fetches them from the acquirer, each as YYYY-MM-DD.txt.
type Folder string

// Open implements [Files].
func (f Folder) Open(_ context.Context, day string) (io.ReadCloser, error) {
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return nil, fmt.Errorf("cardacquirer: %q is no day", day)
	}
	file, err := os.Open(filepath.Join(string(f), day+".txt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, channel.ErrNoBillYet
	}
	if err != nil {
		return nil, fmt.Errorf("cardacquirer: the settlement file: %w", err)
	}
	return file, nil
}
