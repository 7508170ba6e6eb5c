package trace

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/purselane/purselane/card/apdu"
)

// Version of the text form.
const Version = 1

// Bytes are the bytes of a command or answer as hexadecimal digits, capitals, with ** for each byte that is hidden.
type Bytes string

// hiddenByte stands for one byte that is not shown.
const hiddenByte = "**"

// BytesOf shows raw whole.
func BytesOf(raw []byte) Bytes { return Bytes(strings.ToUpper(hex.EncodeToString(raw))) }

// Len is how many bytes there are, hidden ones too.
func (b Bytes) Len() int { return len(b) / 2 }

// Hidden reports that some byte is hidden.
func (b Bytes) Hidden() bool { return strings.Contains(string(b), hiddenByte) }

// slice is bytes from to to, cut to what there is.
func (b Bytes) slice(from, to int) Bytes {
	to = min(to, b.Len())
	if from >= to {
		return ""
	}
	return b[2*from : 2*to]
}

// hide hides bytes from to to.
func (b Bytes) hide(from, to int) Bytes {
	to = min(to, b.Len())
	if from >= to {
		return b
	}
	return b[:2*from] + Bytes(strings.Repeat(hiddenByte, to-from)) + b[2*to:]
}

// Raw is the bytes themselves; false if some are hidden.
func (b Bytes) Raw() ([]byte, bool) {
	raw, err := hex.DecodeString(string(b))
	return raw, err == nil
}

// parseBytes reads the digits; at least least bytes of them and at most most.
func parseBytes(s string, least, most int) (Bytes, error) {
	if len(s)%2 != 0 || len(s) < 2*least || len(s) > 2*most {
		return "", fmt.Errorf("%d digits: want %d to %d bytes of two", len(s), least, most)
	}
	for i := 0; i < len(s); i += 2 {
		if s[i:i+2] != hiddenByte && strings.Trim(s[i:i+2], "0123456789ABCDEF") != "" {
			return "", fmt.Errorf("%q: want two capital hexadecimal digits, or ** for a hidden byte", s[i:i+2])
		}
	}
	return Bytes(s), nil
}

// Fault is what happened instead of an answer.
type Fault string

// Faults, as [apdu.Transmitter] tells them apart.
const (
	NotSent  Fault = "not-sent"
	NoAnswer Fault = "no-answer"
)

// Exchange is one command and what came back: an answer, or a fault.
type Exchange struct {
	Command Bytes
	Answer  Bytes // with its status word; empty with a Fault
	Fault   Fault
	Took    time.Duration // to the microsecond
}

// Session is what was said to one card from its power-up on.
type Session []Exchange

// Transcript is what was said at one reader.
type Transcript struct {
	Sessions []Session
}

// Replayable reports that nothing is hidden: a [Player] can be the card.
func (t Transcript) Replayable() bool {
	for _, s := range t.Sessions {
		for _, x := range s {
			if x.Command.Hidden() || x.Answer.Hidden() {
				return false
			}
		}
	}
	return true
}

const (
	firstLine  = "purselane-trace 1"
	replayYes  = "replay yes"
	replayNo   = "replay no"
	newCard    = "card"
	sentMark   = "> "
	answerMark = "< "
	faultMark  = "! "
)

// Text writes the transcript. Lines that begin with # are for people and say what the bytes mean.
func (t Transcript) Text() []byte {
	var b bytes.Buffer
	b.WriteString(firstLine + "\n")
	if t.Replayable() {
		b.WriteString(replayYes + "\n")
	} else {
		b.WriteString(replayNo + "\n# Bytes shown as ** are hidden; this transcript cannot be replayed.\n")
	}
	for _, s := range t.Sessions {
		b.WriteString("\n" + newCard + "\n")
		var meant Bytes // the command that GET RESPONSE fetches the answer of
		for _, x := range s {
			if !isGetResponse(x.Command) {
				meant = x.Command
			}
			for _, line := range describe(meant, x) {
				b.WriteString("# " + line + "\n")
			}
			fmt.Fprintf(&b, "%s%s\n", sentMark, x.Command)
			if x.Fault != "" {
				fmt.Fprintf(&b, "%s%s %dus\n", faultMark, x.Fault, x.Took.Microseconds())
			} else {
				fmt.Fprintf(&b, "%s%s %dus\n", answerMark, x.Answer, x.Took.Microseconds())
			}
		}
	}
	return b.Bytes()
}

// ErrForm says that a text is no transcript of this version.
var ErrForm = errors.New("no transcript")

// Parse reads the text form. Empty lines and lines that begin with # are passed over. Errors are ErrForm and name the line.
func Parse(text []byte) (Transcript, error) {
	var t Transcript
	said := ""
	n, at := 0, 0 // lines that mean something; line number
	var open *Exchange
	for line := range strings.Lines(string(text)) {
		at++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		n++
		var err error
		switch {
		case n == 1:
			if line != firstLine {
				err = fmt.Errorf("%.40q: want %q", line, firstLine)
			}
		case n == 2:
			if said = line; line != replayYes && line != replayNo {
				err = fmt.Errorf("%.40q: want %q or %q", line, replayYes, replayNo)
			}
		case open != nil:
			err = open.finish(line)
			if err == nil {
				last := &t.Sessions[len(t.Sessions)-1]
				*last = append(*last, *open)
				open = nil
			}
		case line == newCard:
			t.Sessions = append(t.Sessions, nil)
		case len(t.Sessions) == 0:
			err = fmt.Errorf("%.40q: want %q before any command", line, newCard)
		default:
			digits, ok := strings.CutPrefix(line, sentMark)
			if !ok {
				err = fmt.Errorf("%.40q: want a command, %q and its bytes", line, sentMark)
				break
			}
			var c Bytes
			if c, err = parseBytes(digits, 4, 261); err == nil {
				open = &Exchange{Command: c}
			}
		}
		if err != nil {
			return Transcript{}, fmt.Errorf("%w: line %d: %w", ErrForm, at, err)
		}
	}
	switch {
	case open != nil:
		return Transcript{}, fmt.Errorf("%w: the last command has neither answer nor fault", ErrForm)
	case n < 2:
		return Transcript{}, fmt.Errorf("%w: want %q and %q or %q", ErrForm, firstLine, replayYes, replayNo)
	case (said == replayYes) != t.Replayable():
		return Transcript{}, fmt.Errorf("%w: it says %q, and its bytes say otherwise", ErrForm, said)
	}
	return t, nil
}

// finish reads the line behind a command.
func (x *Exchange) finish(line string) error {
	body, took, ok := strings.Cut(line, " ")
	if ok {
		body, took, ok = strings.Cut(took, " ")
	}
	if !ok {
		return fmt.Errorf("%.40q: want an answer or a fault, and its duration", line)
	}
	digits, ok := strings.CutSuffix(took, "us")
	us, err := strconv.ParseUint(digits, 10, 40)
	if !ok || err != nil || strconv.FormatUint(us, 10) != digits {
		return fmt.Errorf("duration %.20q: want microseconds, such as 1200us", took)
	}
	x.Took = time.Duration(us) * time.Microsecond
	switch line[:2] {
	case answerMark:
		x.Answer, err = parseBytes(body, 2, apdu.MaxResponse)
		return err
	case faultMark:
		if x.Fault = Fault(body); x.Fault != NotSent && x.Fault != NoAnswer {
			return fmt.Errorf("fault %.20q: want %s or %s", body, NotSent, NoAnswer)
		}
		return nil
	}
	return fmt.Errorf("%.40q: want an answer (<) or a fault (!)", line)
}
