package forbidden

import "strings"

// brand is how the numbers of a card scheme begin, and how long they are.
type brand struct {
	from, to string // of the first digits
	lengths  []int
}

var brands = []brand{
	{"4", "4", []int{13, 16, 19}},
	{"51", "55", []int{16}}, {"2221", "2720", []int{16}},
	{"62", "62", []int{16, 17, 18, 19}}, {"81", "81", []int{16, 19}},
	{"34", "34", []int{15}}, {"37", "37", []int{15}},
	{"3528", "3589", []int{16, 19}},
	{"300", "305", []int{14, 16}}, {"36", "36", []int{14}}, {"38", "39", []int{14, 16}},
	{"6011", "6011", []int{16, 19}}, {"644", "659", []int{16, 19}},
	{"50", "50", []int{16}}, {"56", "58", []int{16}}, {"63", "63", []int{16}}, {"67", "67", []int{16}},
}

// IsCard reports whether digits may be a whole card number: a known beginning, a length that goes with it, a right check digit. Most numbers that are so are cards.
func IsCard(digits string) bool {
	for _, b := range brands {
		head := digits[:min(len(b.from), len(digits))]
		if head < b.from || head > b.to {
			continue
		}
		for _, n := range b.lengths {
			if len(digits) == n && luhn(digits) && strings.Trim(digits, "0") != "" {
				return true
			}
		}
	}
	return false
}

// luhn checks the last digit.
func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// Mask leaves the first six and the last four digits.
func Mask(digits string) string {
	if len(digits) < 13 {
		return strings.Repeat("*", len(digits))
	}
	return digits[:6] + strings.Repeat("*", len(digits)-10) + digits[len(digits)-4:]
}
