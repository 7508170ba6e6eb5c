package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
)

// circuitsHead is what the file of circuits says of itself.
const circuitsHead = `# The S-boxes of DES as gates, found by this generator's search. Values 0 to 5 are an S-box's inputs, first input first; each gate is the
# next value. & | ^ have two operands, ~ has one. out are the outputs, first output first.
`

// writeCircuits writes the circuits as text.
func writeCircuits(boxes [8]circuit) []byte {
	var out bytes.Buffer
	out.WriteString(circuitsHead)
	for i, c := range boxes {
		fmt.Fprintf(&out, "S%d out %d %d %d %d", i+1, c.out[0], c.out[1], c.out[2], c.out[3])
		for j, g := range c.gates {
			lead := " "
			if j%16 == 0 {
				lead = "\n  "
			}
			if g.op == '~' {
				fmt.Fprintf(&out, "%s~%d", lead, g.a)
			} else {
				fmt.Fprintf(&out, "%s%d%c%d", lead, g.a, g.op, g.b)
			}
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// readCircuits reads what writeCircuits wrote, and checks every circuit against the standard. The text needs no comments and no lines.
func readCircuits(r io.Reader) (boxes [8]circuit, err error) {
	var words []string
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "#") {
			words = append(words, strings.Fields(lines.Text())...)
		}
	}
	for i := range boxes {
		if len(words) < 6 || words[0] != fmt.Sprintf("S%d", i+1) || words[1] != "out" {
			return boxes, fmt.Errorf("want S%d out and its outputs", i+1)
		}
		c := &boxes[i]
		for x := range 6 {
			c.values = append(c.values, inputTable(x))
		}
		outs := words[2:6]
		for words = words[6:]; len(words) > 0 && words[0][0] != 'S'; words = words[1:] {
			g, err := readGate(words[0], len(c.values))
			if err != nil {
				return boxes, fmt.Errorf("S%d: %w", i+1, err)
			}
			c.add(g.op, g.a, g.b)
		}
		want := wanted(i)
		for o := range c.out {
			if _, err := fmt.Sscanf(outs[o], "%d", &c.out[o]); err != nil || c.out[o] < 0 || c.out[o] >= len(c.values) {
				return boxes, fmt.Errorf("S%d: output %q", i+1, outs[o])
			}
			if c.values[c.out[o]] != want[o] {
				return boxes, fmt.Errorf("S%d: output %d is not the standard's", i+1, o+1)
			}
		}
	}
	if len(words) > 0 {
		return boxes, fmt.Errorf("%q after the last circuit", words[0])
	}
	return boxes, nil
}

// readGate reads one gate, which may use so many values.
func readGate(word string, values int) (g gate, err error) {
	if _, err = fmt.Sscanf(word, "~%d", &g.a); err == nil {
		g.op, g.b = '~', g.a
	} else if at := strings.IndexAny(word, "&|^"); at > 0 {
		g.op = word[at]
		_, err = fmt.Sscanf(word[:at]+" "+word[at+1:], "%d %d", &g.a, &g.b)
	}
	if err != nil || g.op == 0 || g.a < 0 || g.b < 0 || g.a >= values || g.b >= values {
		return g, fmt.Errorf("gate %q: want two values that are there, and & | ^ between, or ~ and one", word)
	}
	return g, nil
}
