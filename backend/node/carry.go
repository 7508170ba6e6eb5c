package node

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/purselane/purselane/internal/ids"
	uplink "github.com/purselane/purselane/uplink/intake"
	"github.com/purselane/purselane/uplink/wire"
)

// maxExportLine bounds one envelope in base64.
const maxExportLine = 2 * wire.MaxPayload

// ErrExport says that a file is no export of a terminal.
var ErrExport = errors.New("not a terminal's export")

// Carried is what came of a file.
type Carried struct {
	Terminal  ids.TerminalID
	Envelopes int // taken, new or not
	Records   int // in them, as the device signed it
}

// Carry takes what a terminal has exported to a file, as if it had come by the link: each envelope is signed by the device, and
// taking it again changes nothing. What was taken before a fault stays taken. The terminal keeps its records until a
// receipt comes by the link.
func (n *Node) Carry(ctx context.Context, file io.Reader) (Carried, error) {
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxExportLine)
	if !lines.Scan() {
		return Carried{}, errors.Join(fmt.Errorf("%w: it is empty", ErrExport), lines.Err())
	}
	head := strings.Fields(lines.Text())
	if len(head) != 5 || head[0] != wire.ExportHead {
		return Carried{}, fmt.Errorf("%w: the first line is not \"%s TERMINAL EPOCH FIRST LAST\"", ErrExport, wire.ExportHead)
	}
	id, err := ids.ParseTerminalID(head[1])
	if err != nil {
		return Carried{}, fmt.Errorf("%w: terminal: %w", ErrExport, err)
	}
	out := Carried{Terminal: id}
	p := &uplink.Processor{Device: n.pipeline.Device, Key: n.cfg.ReceiptKey, Handler: counting{n.pipeline, &out}}
	for line := 2; lines.Scan(); line++ {
		raw, err := base64.StdEncoding.DecodeString(lines.Text())
		if err != nil {
			return out, fmt.Errorf("line %d: %w: no base64", line, ErrExport)
		}
		if _, err := p.Process(ctx, id, wire.KindUp, raw, n.cfg.Clock.Now()); err != nil {
			return out, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return out, fmt.Errorf("after %d envelopes: %w", out.Envelopes, err)
	}
	return out, n.Post(ctx)
}

// counting is a handler that counts what it hands on.
type counting struct {
	uplink.Handler
	to *Carried
}

func (c counting) Accept(ctx context.Context, a uplink.Accepted) (uplink.Committed, error) {
	done, err := c.Handler.Accept(ctx, a)
	if err == nil {
		c.to.Envelopes++
		c.to.Records += len(a.Records)
	}
	return done, err
}
