package channel

import "strings"

// Digits reports that a text is digits alone, at least one.
func Digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
