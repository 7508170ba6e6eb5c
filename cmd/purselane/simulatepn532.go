package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/purselane/purselane/simulator/pn532"
)

// pn532Help is what whoever stands at an emulated PN532 can do.
const pn532Help = `Enter takes the card out of the field and puts it back. "unplug" and "plug" do what they say with the reader, "power" takes its power away for a moment.`

// servePN532 keeps card at an emulated PN532 until ctx ends. Lines of in move the card and the plug; when in ends, all stays as it is.
func servePN532(ctx context.Context, card chip, link string, in io.Reader, out io.Writer) (err error) {
	reader, err := pn532.New(pn532.Options{Link: link})
	if err != nil {
		return fmt.Errorf("--pn532: %w", err)
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- strings.TrimSpace(s.Text()):
			case <-ctx.Done():
				return
			}
		}
	}()
	fmt.Fprintf(out, "emulated PN532 at %s: a lane of kind pn532 takes it as its port\n%s\n", link, pn532Help)
	reader.Put(card, pn532.Target{})
	tell(out, card, link)
	for inField := true; ; {
		select {
		case <-ctx.Done():
			tell(out, card, "")
			return nil
		case line, more := <-lines:
			switch {
			case !more:
				lines = nil
			case line == "":
				if inField = !inField; inField {
					reader.Put(card, pn532.Target{})
					tell(out, card, link)
				} else {
					reader.Take()
					tell(out, card, "")
				}
			case line == "unplug":
				reader.Unplug()
			case line == "plug":
				if err := reader.Plug(); err != nil {
					return err
				}
			case line == "power":
				reader.PowerCycle()
			default:
				fmt.Fprintln(out, pn532Help)
			}
		}
	}
}
