package unionpay

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Form is a message: names and values. No name stands twice.
type Form map[string]string

// signed is the text that is hashed and signed: every field but the signature, by name, as k=v joined by &, nothing escaped.
func (f Form) signed() string {
	names := make([]string, 0, len(f))
	for name := range f {
		if name != "signature" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name + "=" + f[name])
	}
	return b.String()
}

// Encode is the form as it is posted.
func (f Form) Encode() string {
	v := make(url.Values, len(f))
	for name, value := range f {
		v.Set(name, value)
	}
	return v.Encode()
}

// set sets fields that have a value. UnionPay leaves blank fields out of what is signed, so they are not sent.
func (f Form) set(pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			f[pairs[i]] = pairs[i+1]
		}
	}
}

// ParseForm reads what was posted: a notification, or a request at UnionPay's side.
func ParseForm(body string) (Form, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, errors.New("the body is not a posted form")
	}
	f := make(Form, len(values))
	for name, all := range values {
		if len(all) != 1 {
			return nil, fmt.Errorf("field %.40q stands %d times", name, len(all))
		}
		f[name] = all[0]
	}
	return f, nil
}

// ParseAnswer reads a synchronous answer: k=v joined by &, nothing escaped, where a value in braces may hold both signs.
func ParseAnswer(body string) (Form, error) {
	f := Form{}
	for _, field := range fields(strings.TrimSpace(body)) {
		name, value, ok := strings.Cut(field, "=")
		if _, twice := f[name]; !ok || name == "" || twice {
			return nil, errors.New("the answer is no list of different fields k=v")
		}
		f[name] = value
	}
	return f, nil
}

// fields cuts at the signs & that stand outside braces.
func fields(body string) (out []string) {
	depth, from := 0, 0
	for i := range len(body) {
		switch body[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '&':
			if depth <= 0 {
				out = append(out, body[from:i])
				from = i + 1
			}
		}
	}
	return append(out, body[from:])
}

// inner reads a composite value, {k=v&k=v}, and returns nothing for anything else.
func inner(value string) Form {
	if len(value) < 2 || value[0] != '{' || value[len(value)-1] != '}' {
		return Form{}
	}
	f, err := ParseAnswer(value[1 : len(value)-1])
	if err != nil {
		return Form{}
	}
	return f
}
