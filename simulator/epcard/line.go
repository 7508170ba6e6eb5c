package epcard

import (
	"errors"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
)

// Line is how a file is protected between card and terminal, from its making on (purse facts 3.11 and 6.6).
type Line string

// Lines. A protected file takes no command in clear, not even after EXTERNAL AUTHENTICATE.
const (
	LineOpen       Line = ""           // read in clear, written with a MAC
	LineMAC        Line = "mac"        // read with a MAC too
	LineEnciphered Line = "enciphered" // read and written enciphered and with a MAC
)

// Lines are the files that can be protected: those that no terminal of a scheme needs in clear.
type Lines struct {
	Holder  Line `json:"holder,omitempty"`  // EF 16
	History Line `json:"history,omitempty"` // EF 1E; a composite purchase writes it in any case
}

func (l Lines) check() error {
	var all []error
	for name, line := range map[string]Line{"holder": l.Holder, "history": l.History} {
		if line != LineOpen && line != LineMAC && line != LineEnciphered {
			all = append(all, fmt.Errorf("lines.%s is %q, want mac, enciphered or nothing", name, line))
		}
	}
	return errors.Join(all...)
}

// line is how a file is protected.
func (c *Card) line(sfi byte) Line {
	switch sfi {
	case ep.SFIHolder:
		return c.img.Lines.Holder
	case ep.SFITripHistory:
		return c.img.Lines.History
	}
	return LineOpen
}

// readable checks a reading command and returns what protects its answer: nil for one in clear.
func (c *Card) readable(cmd apdu.Command, challenge []byte, sfi byte) (protect func([]byte) apdu.Response, s apdu.SW) {
	line := c.line(sfi)
	switch {
	case cmd.CLA == 0x00 && len(cmd.Data) > 0:
		return nil, swLength
	case cmd.CLA == 0x00 && line != LineOpen:
		return nil, swNoMAC
	case cmd.CLA == 0x00:
		return nil, apdu.OK
	}
	rest, s := c.secureMAC(cmd, challenge, false)
	switch {
	case s != apdu.OK:
		return nil, s
	case len(rest) > 0:
		return nil, swLength
	}
	return func(data []byte) apdu.Response { return c.secured(cmd, challenge, line, data) }, apdu.OK
}

// secured is an answer over the line: the data, enciphered where the line says so, and a MAC over it by the command's challenge.
func (c *Card) secured(cmd apdu.Command, challenge []byte, line Line, data []byte) apdu.Response {
	key := c.img.MaintenanceKey.Key
	if line == LineEnciphered {
		enciphered, err := c.maintenance().Encipher(key, data)
		if err != nil {
			return sw(swLength)
		}
		data = enciphered
	}
	if len(data)+4 > apdu.MaxResponse-2 {
		return sw(swLength)
	}
	mac, err := c.maintenance().SecureMAC(key, challenge, data)
	if err != nil {
		return sw(swUnknown)
	}
	if r, fits := leFits(cmd, len(data)+4); !fits {
		return r
	}
	return ok(append(append([]byte(nil), data...), mac[:]...))
}

// appendRecord is APPEND RECORD on EF 1E: a history that was moved from another card. The log of EF 18 is the card's own.
func (c *Card) appendRecord(cmd apdu.Command, challenge []byte) apdu.Response {
	sfi := cmd.P2 >> 3
	switch {
	case cmd.P1 != 0 || cmd.P2&0x07 != 4 && cmd.P2&0x07 != 0:
		return sw(swP1P2)
	case !c.selected || !c.hasFile(sfi):
		return sw(swNoFile)
	case sfi == ep.SFILog:
		return sw(swSecurity)
	case sfi != ep.SFITripHistory:
		return sw(swFileType)
	}
	data, s := c.writable(cmd, challenge, sfi)
	switch {
	case s != apdu.OK:
		return sw(s)
	case len(data) != historySize:
		return sw(swLength)
	}
	next := c.img
	push(next.History[:], data)
	return sw(c.commit(next))
}
