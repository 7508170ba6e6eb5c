package trace

import (
	"strings"

	"github.com/purselane/purselane/card/ep"
)

// The parts of a short command (ISO/IEC 7816-4, 5.1).
func (b Bytes) cla() string   { return string(b.slice(0, 1)) }
func (b Bytes) ins() string   { return string(b.slice(1, 2)) }
func (b Bytes) p1() byte      { return b.at(2) }
func (b Bytes) p2() byte      { return b.at(3) }
func (b Bytes) sw() Bytes     { return b.slice(b.Len()-2, b.Len()) }
func (b Bytes) answer() Bytes { return b.slice(0, b.Len()-2) }

// at is one byte; 0 for one that is hidden or not there.
func (b Bytes) at(i int) byte {
	raw, ok := b.slice(i, i+1).Raw()
	if !ok || len(raw) == 0 {
		return 0
	}
	return raw[0]
}

// data is the data field, empty for a command without one.
func (b Bytes) data() Bytes {
	if b.Len() <= 5 {
		return ""
	}
	return b.slice(5, 5+int(b.at(4)))
}

func isGetResponse(c Bytes) bool { return c.cla() == "00" && c.ins() == "C0" }

// secret names the commands whose data are a PIN or a key, plain or enciphered: INS, whatever the class.
var secret = map[string]bool{
	"20": true, // VERIFY
	"24": true, // PIN UNBLOCK
	"5E": true, // CHANGE PIN, RELOAD PIN
	"D4": true, // WRITE KEY
}

// hideSecrets hides what must be in no transcript.
func hideSecrets(c Bytes) Bytes {
	if secret[c.ins()] {
		return c.hide(5, c.Len())
	}
	return c
}

// Masked hides who the card is and whose: its number, wherever it stands, the key factor that is a part of it, the card holder's file, read or
// written, and what the card says to GET MESSAGE, which holds its chip's number. The last four digits stay, as in the rest of the program. An answer in which the number should
// stand and cannot be found is hidden whole.
func (t Transcript) Masked() Transcript {
	numbers := t.numbers()
	var out Transcript
	for _, s := range t.Sessions {
		var masked Session
		var meant Bytes
		for _, x := range s {
			if !isGetResponse(x.Command) {
				meant = x.Command
			}
			if personalData(x.Command) {
				x.Command = x.Command.hide(5, 5+x.Command.data().Len())
			}
			if x.Fault == "" && personal(meant, x.Answer) {
				x.Answer = x.Answer.hide(0, x.Answer.Len()-2)
			}
			for _, n := range numbers {
				x.Command, x.Answer = x.Command.without(n), x.Answer.without(n)
			}
			masked = append(masked, x)
		}
		out.Sessions = append(out.Sessions, masked)
	}
	return out
}

// without hides every place where the digits stand on byte bounds, but for the last two bytes of it.
func (b Bytes) without(digits string) Bytes {
	for from := 0; ; {
		i := strings.Index(string(b[from:]), digits)
		if i < 0 {
			return b
		}
		at := from + i
		from = at + 1
		if at%2 == 0 {
			b = b.hide(at/2, (at+len(digits))/2-2)
		}
	}
}

// numbers are the card numbers that the cards of t told, and the key factors out of them.
func (t Transcript) numbers() []string {
	var out []string
	for _, s := range t.Sessions {
		var meant Bytes
		for _, x := range s {
			if !isGetResponse(x.Command) {
				meant = x.Command
			}
			if public, ok := publicOf(meant, x.Answer); ok {
				out = append(out, string(BytesOf(public.CardNumber[:])), string(BytesOf(public.CardNumber[2:])))
			}
		}
	}
	return out
}

func isSelect(c Bytes) bool { return c.cla() == "00" && c.ins() == "A4" }

func isRead(c Bytes) bool { return c.ins() == "B0" }

// publicOf reads EF 15 where an answer has it: in an FCI, or read from its start.
func publicOf(c, answer Bytes) (ep.Public, bool) {
	raw, ok := answer.Raw()
	if !ok || len(raw) < 2 {
		return ep.Public{}, false
	}
	raw = raw[:len(raw)-2]
	switch {
	case isSelect(c):
		fci, err := ep.ParseFCI(raw)
		if err != nil {
			return ep.Public{}, false
		}
		raw = fci.Public
	case !isRead(c) || c.p1() != 0x80|ep.SFIPublic || c.p2() != 0:
		return ep.Public{}, false
	}
	public, err := ep.ParsePublic(raw)
	return public, err == nil
}

// personalData reports a command whose data is to be hidden whole: what is written into a file that says who the card is and whose, and a
// card's code on its way to a PSAM.
func personalData(c Bytes) bool {
	switch c.ins() {
	case "D6":
		return c.p1() != 0x80|ep.SFIManagement
	case "CA":
		return true
	}
	return false
}

// personal reports an answer to hide whole.
func personal(c, answer Bytes) bool {
	if answer.Len() <= 2 {
		return false
	}
	switch {
	case c.ins() == "CA": // GET MESSAGE
		return true
	case isSelect(c):
		if _, told := publicOf(c, answer); told {
			return false
		}
		raw, ok := answer.answer().Raw()
		fci, err := ep.ParseFCI(raw)
		return !ok || err != nil || len(fci.Public) > 0
	case isRead(c):
		if c.p1() == 0x80|ep.SFIManagement {
			return false
		}
		_, told := publicOf(c, answer)
		return !told
	}
	return false
}
