package relay

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/purselane/purselane/card/apdu"
)

// Path is where the card's side calls.
const Path = "/v1/relay"

// maxMessage bounds a message; real ones are below 1 KiB.
const maxMessage = 4096

// outcome is what became of a command at the card.
type outcome string

const (
	answered outcome = "answer"
	notSent  outcome = "not_sent"
	noAnswer outcome = "no_answer"
)

// End is how a presentation ended.
type End string

// Ends.
const (
	Done   End = "done"   // the kiosk has finished with the card
	Lost   End = "lost"   // the card or the line was lost: present the card again
	Failed End = "failed" // the kiosk has given up
)

// report is a message of the card's side: what became of the last command. It asks for the next.
type report struct {
	Presentation string  `json:"presentation"` // 32 hexadecimal digits, new for each
	Number       int     `json:"number"`       // of the command; 0: there was none yet
	Outcome      outcome `json:"outcome,omitempty"`
	Answer       string  `json:"answer,omitempty"` // hexadecimal
}

// order is the answer to it: the next command, or the end.
type order struct {
	Number  int    `json:"number,omitempty"`
	Command string `json:"command,omitempty"` // hexadecimal
	End     End    `json:"end,omitempty"`
}

var errForm = errors.New("no message of version 1")

// decode reads one JSON value and nothing after it.
func decode(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if d.Decode(into) != nil {
		return errForm // the decoder's own words may quote the message, and a card number in it
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errForm
	}
	return nil
}

// readReport reads a report and checks its form.
func readReport(raw []byte) (report, error) {
	var r report
	if err := decode(raw, &r); err != nil {
		return report{}, err
	}
	if id, err := hex.DecodeString(r.Presentation); err != nil || len(id) != 16 || r.Presentation != strings.ToLower(r.Presentation) {
		return report{}, fmt.Errorf("%w: presentation: want 32 hexadecimal digits in lower case", errForm)
	}
	answer, err := hex.DecodeString(r.Answer)
	switch {
	case err != nil || len(answer) > apdu.MaxResponse:
		return report{}, fmt.Errorf("%w: answer: want hexadecimal, %d bytes at most", errForm, apdu.MaxResponse)
	case r.Number < 0, r.Number == 0 && (r.Outcome != "" || r.Answer != ""):
		return report{}, fmt.Errorf("%w: number: want 0 and nothing else, or a command's and its outcome", errForm)
	case r.Number > 0 && r.Outcome != answered && r.Outcome != notSent && r.Outcome != noAnswer:
		return report{}, fmt.Errorf("%w: outcome: want answer, not_sent or no_answer", errForm)
	case r.Outcome != answered && r.Answer != "", r.Outcome == answered && len(answer) < 2:
		return report{}, fmt.Errorf("%w: an answer has two bytes or more, and nothing else has any", errForm)
	}
	return r, nil
}

// readOrder reads an order and returns its command; nil with an end.
func readOrder(raw []byte) (order, []byte, error) {
	var o order
	if err := decode(raw, &o); err != nil {
		return order{}, nil, err
	}
	switch o.End {
	case Done, Lost, Failed:
		if o.Number != 0 || o.Command != "" {
			return order{}, nil, errForm
		}
		return o, nil, nil
	case "":
	default:
		return order{}, nil, errForm
	}
	command, err := hex.DecodeString(o.Command)
	if err != nil || o.Number < 1 || len(command) < 4 || len(command) > maxCommand {
		return order{}, nil, errForm
	}
	return o, command, nil
}

// maxCommand is the longest short command: header, Lc, 255 bytes, Le.
const maxCommand = 261
