package trace

import (
	"fmt"
	"strings"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
)

// field is a named run of bytes; n 0 is the rest.
type field struct {
	name string
	n    int
}

// command is what a command is called, and what its data and its good answer hold.
type command struct {
	name ep.CommandName
	data []field
	good []field
}

var (
	initData      = []field{{"key index", 1}, {"amount", 4}, {"terminal", 6}}
	purchaseInit  = []field{{"balance before", 4}, {"offline counter", 2}, {"overdraft limit", 3}, {"key version", 1}, {"algorithm", 1}, {"random", 4}}
	onlineInit    = []field{{"balance before", 4}, {"online counter", 2}, {"key version", 1}, {"algorithm", 1}, {"random", 4}, {"MAC1", 4}}
	hostData      = []field{{"date and time", 7}, {"MAC2", 4}}
	publicFields  = []field{{"issuer", 8}, {"application type", 1}, {"version", 1}, {"card number", 10}, {"start", 4}, {"expiry", 4}, {"FCI data", 2}, {"more", 0}}
	manageFields  = []field{{"country", 4}, {"province", 2}, {"city", 2}, {"interconnect", 2}, {"kind", 1}, {"reserved", 0}}
	logFields     = []field{{"counter", 2}, {"overdraft limit", 3}, {"amount", 4}, {"type", 1}, {"terminal", 6}, {"date and time", 7}}
	historyFields = []field{{"kind", 1}, {"terminal", 8}, {"industry", 1}, {"line", 2}, {"station", 2}, {"operator", 2}, {"reserved", 1}, {"amount", 4}, {"balance after", 4},
		{"date and time", 7}, {"city", 2}, {"institution", 8}, {"reserved", 6}}
	stateFields = []field{{"identifier", 2}, {"length", 1}, {"valid", 1}, {"flag", 1}, {"lock", 1}, {"serial", 8}, {"state", 1}, {"industry's own", 0}}
)

// files are the fields of the files that the purse facts know (chapter 2), by SFI.
var files = map[byte][]field{
	ep.SFIPublic: publicFields, ep.SFIManagement: manageFields, ep.SFILog: logFields, ep.SFITripHistory: historyFields, ep.SFITripState: stateFields,
}

// initialize is 80 50, by P1 (purse facts 3.4 to 3.9).
var initialize = map[byte]command{
	0: {ep.CmdInitLoad, initData, onlineInit},
	1: {ep.CmdInitPurchase, initData, purchaseInit},
	2: {"INITIALIZE FOR CASH WITHDRAWAL", initData, purchaseInit},
	3: {"INITIALIZE FOR CAPP PURCHASE", initData, purchaseInit},
	4: {ep.CmdInitLimit, []field{{"key index", 1}, {"terminal", 6}},
		[]field{{"balance before", 4}, {"online counter", 2}, {"limit", 3}, {"key version", 1}, {"algorithm", 1}, {"random", 4}, {"MAC1", 4}}},
	5: {ep.CmdInitUnload, initData, onlineInit},
}

// named are the commands that class and instruction name.
var named = map[string]command{
	"0020": {name: ep.CmdVerify}, "0082": {name: ep.CmdExternalAuthenticate, data: []field{{"answer", 0}}},
	"0084": {name: ep.CmdChallenge, good: []field{{"random", 0}}},
	"0088": {name: ep.CmdInternalAuthenticate, data: []field{{"challenge", 0}}, good: []field{{"answer", 0}}},
	"00C0": {name: "GET RESPONSE"}, "80CA": {name: ep.CmdGetMessage, good: []field{{"code", 0}}},
	"8052": {ep.CmdCreditLoad, hostData, []field{{"TAC", 4}}},
	"8058": {ep.CmdUpdateLimit, []field{{"limit", 3}, {"date and time", 7}, {"MAC2", 4}}, []field{{"TAC", 4}}},
	"805A": {ep.CmdProve, []field{{"counter after", 2}}, []field{{"MAC2", 4}, {"TAC", 4}}},
	"805C": {name: ep.CmdGetBalance, good: []field{{"balance", 4}}},
	"8416": {ep.CmdBlockCard, []field{{"MAC", 0}}, nil}, "8418": {ep.CmdUnblock, []field{{"MAC", 0}}, nil},
	"841E": {ep.CmdBlock, []field{{"MAC", 0}}, nil}, "8424": {name: ep.CmdUnblockPIN},
	"80D4": {name: ep.CmdWriteKey}, "84D4": {name: ep.CmdWriteKey},
}

// commandOf names a command; an unknown one has an empty name.
func commandOf(c Bytes) command {
	sfi := c.p2() >> 3
	switch c.cla() + c.ins() {
	case "00A4":
		return command{name: ep.CmdSelect, data: []field{{"name", 0}}, good: []field{{"FCI", 0}}}
	case "00B0":
		k := command{name: ep.CmdReadBinary}
		if c.p1()&0xE0 == 0x80 && c.p2() == 0 {
			k.good = files[c.p1()&0x1F]
		}
		return k
	case "00B2":
		return command{name: ep.CmdReadRecord, good: files[sfi]}
	case "04B0", "04B2": // over the line: data, maybe enciphered, and its MAC
		name := map[string]ep.CommandName{"B0": ep.CmdReadBinary, "B2": ep.CmdReadRecord}[c.ins()]
		return command{name: name, data: []field{{"MAC", 4}}, good: []field{{"data and MAC", 0}}}
	case "80DC":
		return command{name: ep.CmdUpdateCache, data: files[sfi]}
	case "04D6", "00D6":
		return command{name: ep.CmdUpdateBinary}
	case "04DC", "00DC":
		return command{name: ep.CmdUpdateRecord}
	case "00E2":
		return command{name: ep.CmdAppendRecord, data: files[sfi]}
	case "04E2":
		return command{name: ep.CmdAppendRecord}
	case "8050":
		return initialize[c.p1()]
	case "805E":
		if c.p1() == 1 {
			return command{name: ep.CmdChangePIN}
		}
		return command{name: ep.CmdReloadPIN}
	case "8054":
		if c.p1() == 3 {
			return command{ep.CmdDebitUnload, hostData, []field{{"MAC3", 4}}}
		}
		return command{ep.CmdDebit, []field{{"PSAM serial", 4}, {"date and time", 7}, {"MAC1", 4}}, []field{{"TAC", 4}, {"MAC2", 4}}}
	}
	return named[c.cla()+c.ins()]
}

// fields names the runs of data. Where the length does not fit, it is shown in one piece: nothing is guessed.
func fields(known []field, data Bytes) string {
	if data == "" {
		return ""
	}
	want, open := 0, false
	for _, f := range known {
		want, open = want+f.n, open || f.n == 0
	}
	if len(known) == 0 || data.Len() < want || data.Len() > want && !open {
		return "data " + string(data)
	}
	var out []string
	for _, f := range known {
		n := f.n
		if n == 0 {
			n = data.Len()
		}
		if part := data.slice(0, n); part != "" {
			out = append(out, f.name+" "+string(part))
		}
		data = data.slice(n, data.Len())
	}
	return strings.Join(out, ", ")
}

// where says which file a reading or writing command is about.
func where(c Bytes) string {
	switch c.cla() + c.ins() {
	case "00B0", "04B0", "04D6", "00D6":
		if c.p1()&0xE0 == 0x80 {
			return fmt.Sprintf(" EF %02X", c.p1()&0x1F)
		}
		return " of the selected file"
	case "00B2", "04B2", "80DC", "04DC", "00DC", "00E2", "04E2":
		return fmt.Sprintf(" EF %02X, record %02X", c.p2()>>3, c.p1())
	case "805A":
		return fmt.Sprintf(" type %02X", c.p2())
	case "80D4", "84D4":
		return fmt.Sprintf(" type %02X, id %02X", c.p1(), c.p2())
	case "0088":
		return map[byte]string{0: ": encipher", 1: ": decipher", 2: ": MAC"}[c.p1()]
	case "8050", "805C":
		if c.p2() == 1 {
			return " of ED"
		}
	}
	return ""
}

// describe says in words what an exchange is. meant is the command itself, or the one that a GET RESPONSE fetches the answer of.
func describe(meant Bytes, x Exchange) []string {
	sent := commandOf(x.Command)
	line := string(sent.name) + where(x.Command)
	if sent.name == "" {
		line = fmt.Sprintf("unknown command %s %s", x.Command.cla(), x.Command.ins())
	}
	if f := fields(sent.data, x.Command.data()); f != "" {
		line += ": " + f
	}
	out := []string{line}
	switch x.Fault {
	case NotSent:
		return append(out, "  was not sent: "+apdu.ErrNotSent.Error())
	case NoAnswer:
		return append(out, "  "+apdu.ErrNoAnswer.Error()+": what the card did is unknown")
	}
	line = "  " + statusWord(meant, x.Answer)
	known := commandOf(meant)
	if f := fields(known.good, x.Answer.answer()); f != "" {
		line += ": " + f
	}
	return append(out, line)
}

// statusWord is the status word in words.
func statusWord(meant, answer Bytes) string {
	raw, ok := answer.sw().Raw()
	if !ok || len(raw) != 2 {
		return "status word hidden"
	}
	sw := apdu.SW(raw[0])<<8 | apdu.SW(raw[1])
	switch {
	case sw == apdu.OK:
		return "9000 done"
	case raw[0] == 0x61:
		return fmt.Sprintf("%v done, %d bytes to fetch", sw, raw[1])
	case raw[0] == 0x6C:
		return fmt.Sprintf("%v not done: wrong Le, %d is right", sw, raw[1])
	}
	text := (&ep.StatusError{Command: commandOf(meant).name, SW: sw}).Error()
	_, text, _ = strings.Cut(text, ": ")
	return text
}
