package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// JSON is the report for a machine.
func (p Proof) JSON() ([]byte, error) {
	raw, err := json.MarshalIndent(p, "", "  ")
	return append(raw, '\n'), err
}

// Text is the report for a person.
func (p Proof) Text() []byte {
	var b bytes.Buffer
	said := map[bool]string{true: "holds", false: "FAILS"}
	verdict := "the books are sound"
	if !p.Passed {
		verdict = "THE BOOKS ARE NOT SOUND: nothing is to be paid until they are"
	}
	fmt.Fprintf(&b, "proof of the books, day %s, made %s\n%s\n", p.Day, p.At, verdict)
	for _, c := range p.Checks {
		fmt.Fprintf(&b, "\n%s  %s: %s\n", said[c.Passed], c.Name, c.Says)
		for _, f := range c.Figures {
			fmt.Fprintf(&b, "       %-46s %16v\n", f.Name, f.Amount)
		}
		for _, f := range c.Faults {
			fmt.Fprintf(&b, "       FAULT %s\n", f)
		}
		if c.Do != "" {
			fmt.Fprintf(&b, "       do: %s\n", strings.TrimSpace(c.Do))
		}
	}
	return b.Bytes()
}
