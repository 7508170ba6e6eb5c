package main

import "math/rand/v2"

// table is the truth table of a function of six bits.
type table uint64

// gate is one operation on the values before it: 0 to 5 are the inputs, 6 is the first gate.
type gate struct {
	op   byte // & | ^ ~
	a, b int  // ~ has no b
}

// circuit is an S-box as gates.
type circuit struct {
	gates  []gate
	values []table // of inputs and gates
	out    [4]int
}

func apply(op byte, a, b table) table {
	switch op {
	case '&':
		return a & b
	case '|':
		return a | b
	case '^':
		return a ^ b
	}
	return ^a
}

func (c *circuit) add(op byte, a, b int) int {
	c.gates = append(c.gates, gate{op, a, b})
	c.values = append(c.values, apply(op, c.values[a], c.values[b]))
	return len(c.values) - 1
}

func (c *circuit) cut(values int) {
	c.gates, c.values = c.gates[:values-6], c.values[:values]
}

var ops = [3]byte{'&', '|', '^'}

// search looks for small circuits as Matthew Kwan describes it ("Reducing the Gate Count of Bitslice DES"): a function is made from gates that are
// there already if one, two or three of them give it; else one input chooses between two smaller functions, of which the second need be right
// only where the first is not. mask says where. The inputs and all that is equally good are taken by chance, and many tries are made.
type search struct {
	circuit
	chance *rand.Rand
	most   int    // values: no circuit of more is of interest
	width  [6]int // how many inputs to try where so many are left, less one
}

// find returns a value that equals want under mask; it adds gates for it. The second result is false when they become too many.
func (s *search) find(want, mask table, left []int) (int, bool) {
	if v, ok := s.existing(want, mask); ok {
		return v, true
	}
	if len(s.values) >= s.most {
		return 0, false
	}
	if v, ok := s.oneGate(want, mask); ok {
		return v, true
	}
	if len(s.values)+1 >= s.most {
		return 0, false
	}
	if v, ok := s.twoGates(want, mask); ok {
		return v, true
	}
	if len(left) == 0 {
		return 0, false
	}
	return s.choose(want, mask, left)
}

func (s *search) existing(want, mask table) (int, bool) {
	for i, v := range s.values {
		if (v^want)&mask == 0 {
			return i, true
		}
	}
	return 0, false
}

func (s *search) oneGate(want, mask table) (int, bool) {
	var found []gate
	for i, a := range s.values {
		if (^a^want)&mask == 0 {
			found = append(found, gate{'~', i, i})
		}
		for j, b := range s.values[:i] {
			for _, op := range ops {
				if (apply(op, a, b)^want)&mask == 0 {
					found = append(found, gate{op, i, j})
				}
			}
		}
	}
	if len(found) == 0 {
		return 0, false
	}
	g := found[s.chance.IntN(len(found))]
	return s.add(g.op, g.a, g.b), true
}

// twoGates tries the inverse of a gate's value, and each gate on it.
func (s *search) twoGates(want, mask table) (int, bool) {
	type pair struct {
		first  gate
		op     byte
		second int // of ~ the value itself
	}
	var found []pair
	places := placesOf(s.values, mask)
	try := func(g gate, v table) {
		if (^v^want)&mask == 0 {
			found = append(found, pair{g, '~', len(s.values)})
		}
		if k := places.find(v^want, mask, s.values); k >= 0 {
			found = append(found, pair{g, '^', k})
		}
		// The other operand is looked for only where v leaves it something to do.
		if want&^v&mask == 0 {
			for k, c := range s.values {
				if (v&c^want)&mask == 0 {
					found = append(found, pair{g, '&', k})
				}
			}
		}
		if v&^want&mask == 0 {
			for k, c := range s.values {
				if ((v|c)^want)&mask == 0 {
					found = append(found, pair{g, '|', k})
				}
			}
		}
	}
	for i, a := range s.values {
		try(gate{'~', i, i}, ^a)
		for j, b := range s.values[:i] {
			for _, op := range ops {
				try(gate{op, i, j}, apply(op, a, b))
			}
		}
	}
	if len(found) == 0 {
		return 0, false
	}
	p := found[s.chance.IntN(len(found))]
	v := s.add(p.first.op, p.first.a, p.first.b)
	return s.add(p.op, v, p.second), true
}

// places finds a value by what it is under a mask.
type places [256]int16

func place(v table) int { return int(v * 0x9E3779B97F4A7C15 >> 56) }

func placesOf(values []table, mask table) (p places) {
	for i := range values {
		at := place(values[i] & mask)
		for p[at] != 0 {
			at = (at + 1) % len(p)
		}
		p[at] = int16(i + 1)
	}
	return p
}

func (p *places) find(v, mask table, values []table) int {
	for at := place(v & mask); p[at] != 0; at = (at + 1) % len(p) {
		if i := int(p[at] - 1); (values[i]^v)&mask == 0 {
			return i
		}
	}
	return -1
}

// choose lets one input choose. It tries a few, and keeps what adds the fewest gates.
func (s *search) choose(want, mask table, left []int) (int, bool) {
	before, most := len(s.values), s.most
	var best []gate
	at := -1
	for range s.width[len(left)-1] {
		v, ok := s.chooseOne(want, mask, left)
		if ok && (at < 0 || len(s.values)-before < len(best)) {
			best, at = append([]gate{}, s.gates[before-6:]...), v
			s.most = len(s.values) - 1 // the next must be better
		}
		s.cut(before)
	}
	s.most = most
	for _, g := range best {
		s.add(g.op, g.a, g.b)
	}
	return at, at >= 0
}

func (s *search) chooseOne(want, mask table, left []int) (int, bool) {
	at := s.chance.IntN(len(left))
	rest := append(append([]int{}, left[:at]...), left[at+1:]...)
	sel := left[at]
	on := s.values[sel]
	op, other := byte('&'), on // right where sel is 0, corrected where it is 1
	if s.chance.IntN(2) == 0 { // or the inverse of what is right where sel is 1, corrected where it is 0
		op, other = '|', ^on
		want ^= on // where sel is 1 the correction is 1
	}
	base, ok := s.find(want, mask&^other, rest)
	if !ok {
		return 0, false
	}
	fix, ok := s.find(want^s.values[base], mask&other, rest)
	if !ok {
		return 0, false
	}
	return s.join(op, fix, sel, base)
}

// masked adds a gate, unless a value is what it would be.
func (s *search) masked(op byte, a, b int) (int, bool) {
	if v, ok := s.existing(apply(op, s.values[a], s.values[b]), ^table(0)); ok {
		return v, true
	}
	if len(s.values) >= s.most {
		return 0, false
	}
	return s.add(op, a, b), true
}

// join corrects base by fix, where sel lets it.
func (s *search) join(op byte, fix, sel, base int) (int, bool) {
	v, ok := s.masked(op, fix, sel)
	if !ok {
		return 0, false
	}
	return s.masked('^', v, base)
}

// smallest searches for an S-box's circuit; the same seed and tries give the same circuit. most is the number of gates to be beaten.
func smallest(box, tries, most int, seed uint64) (best circuit, found bool) {
	want := wanted(box)
	chance := rand.New(rand.NewPCG(seed, uint64(box)))
	for range tries {
		s := search{chance: chance, most: 6 + most - 1, width: [6]int{1, 2, 2, 3, 6, 4}}
		for i := range 6 {
			s.values = append(s.values, inputTable(i))
		}
		ok := true
		for _, o := range chance.Perm(4) {
			if s.out[o], ok = s.find(want[o], ^table(0), []int{0, 1, 2, 3, 4, 5}); !ok {
				break
			}
		}
		if !ok {
			continue
		}
		s.circuit = s.circuit.used()
		best, found, most = s.circuit, true, len(s.gates)
	}
	return best, found
}

// used leaves out gates that no output needs.
func (c circuit) used() circuit {
	wants := make([]bool, len(c.values))
	for _, o := range c.out {
		wants[o] = true
	}
	for i := len(c.gates) - 1; i >= 0; i-- {
		if wants[i+6] {
			wants[c.gates[i].a], wants[c.gates[i].b] = true, true
		}
	}
	out := circuit{values: append([]table{}, c.values[:6]...)}
	at := []int{0, 1, 2, 3, 4, 5}
	for i, g := range c.gates {
		at = append(at, -1)
		if wants[i+6] {
			at[i+6] = out.add(g.op, at[g.a], at[g.b])
		}
	}
	for i, o := range c.out {
		out.out[i] = at[o]
	}
	return out
}
