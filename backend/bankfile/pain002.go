package bankfile

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Outcome is what a status report says of a message or a payment.
type Outcome string

// Outcomes. None of them says that money has moved: only a statement does.
const (
	Accepted Outcome = "accepted" // the bank has taken it
	Rejected Outcome = "rejected" // the bank will not pay it
	Partial  Outcome = "partial"  // of a message: see each payment
	Pending  Outcome = "pending"  // the bank is not done
	Unknown  Outcome = "unknown"  // a code that we do not know; never taken for a rejection
)

var outcomes = map[string]Outcome{
	"ACCP": Accepted, "ACTC": Accepted, "ACSP": Accepted, "ACSC": Accepted, "ACWC": Accepted, "ACWP": Accepted, "ACCC": Accepted, "ACFC": Accepted,
	"RCVD": Pending, "PDNG": Pending, "PATC": Pending, "PRES": Pending,
	"PART": Partial, "RJCT": Rejected,
}

// Reason is why.
type Reason struct {
	Code string // of the ISO list, such as AC04, or the bank's own
	Text string
}

// String is the reason for people.
func (r Reason) String() string { return strings.TrimSpace(r.Code + " " + r.Text) }

// Status is what became of one payment.
type Status struct {
	Payment string // its end to end id
	Outcome Outcome
	Code    string // as the file has it
	Reason  Reason
}

// StatusReport is a pain.002.
type StatusReport struct {
	ID       string
	Original string  // id of the message it speaks of
	Group    Outcome // of the whole message; "" where the report says nothing of it
	Code     string
	Reason   Reason
	Payments []Status
}

type (
	xmlReason struct {
		Code  string   `xml:"Rsn>Cd"`
		Own   string   `xml:"Rsn>Prtry"`
		Texts []string `xml:"AddtlInf"`
	}
	xmlGroup struct {
		Original string      `xml:"OrgnlMsgId"`
		Status   string      `xml:"GrpSts"`
		Reasons  []xmlReason `xml:"StsRsnInf"`
	}
	xmlPaymentInfo struct {
		Status  string      `xml:"PmtInfSts"`
		Reasons []xmlReason `xml:"StsRsnInf"`
	}
	xmlTransaction struct {
		EndToEnd string      `xml:"OrgnlEndToEndId"`
		Instr    string      `xml:"OrgnlInstrId"`
		Status   string      `xml:"TxSts"`
		Reasons  []xmlReason `xml:"StsRsnInf"`
	}
)

func reasonOf(all []xmlReason) Reason {
	if len(all) == 0 {
		return Reason{}
	}
	r := Reason{Code: clean(all[0].Code), Text: clean(strings.Join(all[0].Texts, " "))}
	if r.Code == "" {
		r.Code = clean(all[0].Own)
	}
	return r
}

// clean makes a text of a file one line of bounded length.
func clean(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 140 {
		s = string(r[:140])
	}
	return s
}

func outcomeOf(code string) Outcome {
	if o, known := outcomes[code]; known {
		return o
	}
	return Unknown
}

// ReadPain002 reads a status report, of version 03 to 14. Errors: [ErrForm], [ErrTooBig].
func ReadPain002(r io.Reader) (StatusReport, error) {
	var out StatusReport
	_, err := walk(r, "pain.002", 3, 14, func(d *xml.Decoder, path []string, e xml.StartElement) (bool, error) {
		switch at := strings.Join(path[1:], "/") + "/" + e.Name.Local; at {
		case "CstmrPmtStsRpt/GrpHdr":
			var head struct {
				ID string `xml:"MsgId"`
			}
			err := d.DecodeElement(&head, &e)
			out.ID = clean(head.ID)
			return true, err
		case "CstmrPmtStsRpt/OrgnlGrpInfAndSts":
			var g xmlGroup
			if err := d.DecodeElement(&g, &e); err != nil {
				return true, err
			}
			out.Original, out.Code, out.Reason = clean(g.Original), clean(g.Status), reasonOf(g.Reasons)
			if out.Code != "" {
				out.Group = outcomeOf(out.Code)
			}
			return true, nil
		case "CstmrPmtStsRpt/OrgnlPmtInfAndSts/PmtInfSts": // a message of ours has one payment block, which speaks for the group
			var code string
			if err := d.DecodeElement(&code, &e); err != nil {
				return true, err
			}
			if out.Group == "" {
				out.Code = clean(code)
				out.Group = outcomeOf(out.Code)
			}
			return true, nil
		case "CstmrPmtStsRpt/OrgnlPmtInfAndSts/StsRsnInf":
			var x xmlReason
			err := d.DecodeElement(&x, &e)
			if out.Reason == (Reason{}) {
				out.Reason = reasonOf([]xmlReason{x})
			}
			return true, err
		case "CstmrPmtStsRpt/OrgnlPmtInfAndSts/TxInfAndSts":
			var t xmlTransaction
			if err := d.DecodeElement(&t, &e); err != nil {
				return true, err
			}
			if len(out.Payments) == maxEntries {
				return true, fmt.Errorf("%w: more than %d payments", ErrTooBig, maxEntries)
			}
			id := clean(t.EndToEnd)
			if id == "" {
				id = clean(t.Instr) // the same in messages of ours
			}
			s := Status{Payment: id, Code: clean(t.Status), Reason: reasonOf(t.Reasons)}
			s.Outcome = outcomeOf(s.Code)
			out.Payments = append(out.Payments, s)
			return true, nil
		}
		return false, nil
	})
	if err == nil && (out.ID == "" || out.Original == "") {
		err = fmt.Errorf("%w: no id, or no id of the message it speaks of", ErrForm)
	}
	if err != nil {
		return StatusReport{}, fmt.Errorf("pain.002: %w", err)
	}
	return out, nil
}
