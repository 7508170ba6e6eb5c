package ec

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/tlv"
)

// Errors of a session over full PBOC.
var (
	// ErrIssuerAuth: the card does not take the issuer's answer for genuine (6300). No script of this session will run.
	ErrIssuerAuth = errors.New("card refuses the issuer's answer")
	// ErrNotFull: terminal or card cannot do full PBOC over this interface.
	ErrNotFull = errors.New("no full PBOC over this interface")
)

// FullPBOC is the TTQ of a kiosk that is online: full PBOC over contactless, contact PBOC, issuer scripts.
var FullPBOC = TTQ{0x50, 0x00, 0x80, 0x00}

// Online is a card in a session over full PBOC that has asked to go online (EC facts 15): how value is loaded. It prints the masked card number. Nothing in it debits.
type Online struct {
	card    *Card
	values  map[tlv.Tag][]byte
	Sent    map[tlv.Tag][]byte // the terminal's values as they enter the cryptogram
	Objects Objects
	AIP     AIP
	ATC     uint16
	Track2  Track2
	PSN     byte
	IAD     IAD
	AC      [8]byte
	Request Cryptogram // ARQC; AAC of a blocked application, which still takes scripts
}

// BeginOnline asks for a session over full PBOC: GET PROCESSING OPTIONS, records, and the first GENERATE AC for an ARQC.
func (c *Card) BeginOnline(ctx context.Context, terminal Terminal) (*Online, error) {
	if terminal.TTQ[0]&0x40 == 0 {
		return nil, fmt.Errorf("%w: TTQ %v", ErrNotFull, terminal.TTQ)
	}
	values, err := terminal.Values()
	if err != nil {
		return nil, err
	}
	template, err := tlv.Encode([]tlv.Object{{Tag: 0x83, Value: c.FCI.PDOL.Fill(values)}})
	if err != nil {
		return nil, err
	}
	raw, err := c.do(ctx, "GET PROCESSING OPTIONS", apdu.Command{CLA: 0x80, INS: 0xA8, Data: template, Le: 256})
	if err != nil {
		return nil, err
	}
	o := &Online{card: c, values: values, Objects: Objects{}}
	afl, err := o.options(raw)
	if err != nil {
		return nil, fmt.Errorf("GET PROCESSING OPTIONS: %w", err)
	}
	for _, p := range afl.Places() {
		r, err := c.ReadRecord(ctx, p)
		if err != nil {
			return nil, err
		}
		if err := o.Objects.Add(r.Raw); err != nil {
			return nil, fmt.Errorf("%v: %w", r, err)
		}
	}
	if o.Track2, err = ParseTrack2(o.Objects[TagTrack2]); err != nil {
		return nil, err
	}
	if v, ok := o.Objects[TagPAN]; ok && !samePAN(v, o.Track2.PAN) {
		return nil, fmt.Errorf("%w: track 2 holds another one", ErrOtherPAN)
	}
	if v := o.Objects[TagPSN]; len(v) == 1 {
		o.PSN = v[0]
	}
	first, err := o.generate(ctx, ARQC, TagCDOL1)
	if err != nil {
		return nil, err
	}
	o.Sent, o.ATC, o.AC, o.IAD, o.Request = first.sent, first.atc, first.ac, first.iad, first.kind
	if o.Request == TC {
		return nil, fmt.Errorf("%w: TC where an ARQC was asked for", ErrMalformed)
	}
	return o, nil
}

// options reads AIP and AFL, in either form of the answer. One with a cryptogram is qPBOC's: the card has chosen the other way.
func (o *Online) options(raw []byte) (AFL, error) {
	list, err := tlv.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(list) == 1 && list[0].Tag == 0x80 && len(list[0].Value) > 2 {
		o.AIP = AIP(list[0].Value)
		return ParseAFL(list[0].Value[2:])
	}
	answer := Objects{}
	if err := answer.Add(raw); err != nil {
		return nil, err
	}
	if _, quick := answer[TagAC]; quick {
		return nil, ErrNotFull
	}
	aip, err := answer.want(TagAIP, 2)
	if err != nil {
		return nil, err
	}
	o.AIP = AIP(aip)
	return ParseAFL(answer[TagAFL])
}

// generated is the answer to a GENERATE AC.
type generated struct {
	sent map[tlv.Tag][]byte
	kind Cryptogram
	atc  uint16
	ac   [8]byte
	iad  IAD
}

func (o *Online) generate(ctx context.Context, want Cryptogram, list tlv.Tag) (generated, error) {
	cdol, err := ParseDOL(o.Objects[list])
	if err != nil || len(cdol) == 0 {
		return generated{}, fmt.Errorf("GENERATE AC: %w: no %s", ErrMalformed, TagName(list))
	}
	data := cdol.Fill(o.values)
	g := generated{sent: maps.Clone(o.values)}
	for _, a := range cdol {
		g.sent[a.Tag], data = data[:a.Length], data[a.Length:]
	}
	raw, err := o.card.do(ctx, "GENERATE AC", apdu.Command{CLA: 0x80, INS: 0xAE, P1: byte(want), Data: cdol.Fill(o.values), Le: 256})
	if err != nil {
		return generated{}, err
	}
	answer, err := generatedObjects(raw)
	if err != nil {
		return generated{}, fmt.Errorf("GENERATE AC: %w", err)
	}
	g.kind, g.atc, g.ac = Cryptogram(answer[TagCID][0]&0xC0), binary.BigEndian.Uint16(answer[TagATC]), [8]byte(answer[TagAC])
	if g.iad, err = ParseIAD(answer[TagIAD]); err != nil {
		return generated{}, fmt.Errorf("GENERATE AC: %w", err)
	}
	return g, nil
}

// generatedObjects reads template 80 (type, ATC, cryptogram, issuer application data) or 77.
func generatedObjects(raw []byte) (Objects, error) {
	list, err := tlv.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	answer := Objects{}
	if len(list) == 1 && list[0].Tag == 0x80 && len(list[0].Value) > 11 {
		v := list[0].Value
		answer[TagCID], answer[TagATC], answer[TagAC], answer[TagIAD] = v[:1], v[1:3], v[3:11], v[11:]
		return answer, nil
	}
	if err := answer.Add(raw); err != nil {
		return nil, err
	}
	for tag, n := range map[tlv.Tag]int{TagCID: 1, TagATC: 2, TagAC: 8} {
		if _, err := answer.want(tag, n); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// Field55 codes the chip data of the request for the host, as [Tap.Field55] does.
func (o *Online) Field55(device map[tlv.Tag][]byte) ([]byte, error) {
	card := Objects{
		TagAC: o.AC[:], TagIAD: o.IAD.Bytes(), TagATC: binary.BigEndian.AppendUint16(nil, o.ATC), TagAIP: o.AIP[:],
	}
	return chipData(card, o.Sent, o.card.FCI.AID, o.Request, device)
}

// Answer hands the card the issuer's answer: EXTERNAL AUTHENTICATE, the second GENERATE AC, and the script's commands. The result is to be reported as it is. With ErrUncertain the card may
// have carried the script out: ask it again, or leave it to the host. ErrIssuerAuth and any error with a result of ScriptNotRun mean that it has not.
func (o *Online) Answer(ctx context.Context, a Answer) (ScriptResult, error) {
	return o.card.deliver(ctx, a, func() error {
		if o.Request != ARQC {
			return nil // a blocked application's AAC was the last one
		}
		o.values[TagResponseCode] = a.Auth[8:]
		kind := AAC
		if [2]byte(a.Auth[8:]) == Approved {
			kind = TC
		}
		_, err := o.generate(ctx, kind, TagCDOL2)
		return err
	})
}

// ErrNoUpdate says that reader or card does not take issuer scripts in qPBOC.
var ErrNoUpdate = errors.New("no issuer update over qPBOC")

// IssuerUpdate hands the card the issuer's answer to a tap that wanted to go online, over qPBOC: without a second cryptogram, and only if the reader offered it (TTQ byte 3 b8) and the card
// takes it (CTQ byte 2 b7). Results and errors are as of [Online.Answer].
func (c *Card) IssuerUpdate(ctx context.Context, t *Tap, a Answer) (ScriptResult, error) {
	if t.Decision != ARQC || t.TTQ()[2]&0x80 == 0 || t.CTQ[1]&0x40 == 0 {
		return ScriptResult{}, ErrNoUpdate
	}
	return c.deliver(ctx, a, func() error { return nil })
}

// deliver authenticates the issuer to the card, ends the cryptograms, and runs the script.
func (c *Card) deliver(ctx context.Context, a Answer, end func() error) (ScriptResult, error) {
	var id [4]byte
	var commands []apdu.Command
	if len(a.Script) > 0 {
		var err error
		if id, commands, err = ParseScript(a.Script); err != nil {
			return ScriptResult{}, err
		}
	}
	result := ScriptResult{ID: id}
	if _, err := c.do(ctx, "EXTERNAL AUTHENTICATE", apdu.Command{INS: 0x82, Data: a.Auth[:]}); err != nil {
		var refused *StatusError
		if errors.As(err, &refused) {
			return result, fmt.Errorf("%w: %w", ErrIssuerAuth, err)
		}
		return result, err
	}
	if err := end(); err != nil {
		return result, err
	}
	return c.run(ctx, id, commands)
}

// ScriptOutcome is what became of a script.
type ScriptOutcome byte

// Outcomes, coded as the left half of the first byte of an issuer script result (EMV book 4, 10.4).
const (
	ScriptNotRun ScriptOutcome = iota
	ScriptFailed
	ScriptDone
)

// ScriptResult is a terminal's report on a script.
type ScriptResult struct {
	ID      [4]byte
	Outcome ScriptOutcome
	At      byte    // the command that failed, counted from 1; 0: none
	SW      apdu.SW // its status word
}

// Bytes codes the report: outcome and command in one byte, then the script's number (EMV book 4).
func (r ScriptResult) Bytes() [5]byte {
	return [5]byte{byte(r.Outcome)<<4 | min(r.At, 15), r.ID[0], r.ID[1], r.ID[2], r.ID[3]}
}

// ParseScriptResult reads what Bytes coded.
func ParseScriptResult(raw []byte) (ScriptResult, error) {
	if len(raw) != 5 || raw[0]>>4 > byte(ScriptDone) {
		return ScriptResult{}, fmt.Errorf("%w: script result %X", ErrMalformed, raw)
	}
	return ScriptResult{ID: [4]byte(raw[1:]), Outcome: ScriptOutcome(raw[0] >> 4), At: raw[0] & 15}, nil
}

// run sends a script's commands in order, and stops at the first that the card refuses.
func (c *Card) run(ctx context.Context, id [4]byte, commands []apdu.Command) (ScriptResult, error) {
	result := ScriptResult{ID: id}
	for n, command := range commands {
		_, err := c.do(ctx, "script command", command)
		var refused *StatusError
		switch {
		case errors.As(err, &refused):
			result.Outcome, result.At, result.SW = ScriptFailed, byte(n+1), refused.SW
			return result, err
		case errors.Is(err, apdu.ErrNotSent) && n == 0:
			return result, err
		case err != nil:
			return result, fmt.Errorf("%w: %w", ErrUncertain, err)
		}
	}
	if len(commands) > 0 {
		result.Outcome = ScriptDone
	}
	return result, nil
}

// String prints the masked card number.
func (o *Online) String() string {
	return fmt.Sprintf("EC session of %v, %v, ATC %d", o.Track2.PAN, o.Request, o.ATC)
}

// Format masks under every verb.
func (o *Online) Format(f fmt.State, _ rune) { io.WriteString(f, o.String()) }

// MarshalText masks in JSON and YAML.
func (o *Online) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// LogValue masks in structured logs.
func (o *Online) LogValue() slog.Value { return slog.StringValue(o.String()) }
