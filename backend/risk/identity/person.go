package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// Person is who is asked about. Only a [Verifier] reads its fields: every way of printing it shows how many elements it has and nothing else.
type Person struct {
	Name   string
	Number string // of the identity card
	Card   string // of the bank card; "" to ask for two elements
	Phone  string // that the bank knows; "" to ask for two or three
}

// maxField is the most bytes of a field.
const maxField = 200

// ErrPerson says that what was given cannot be asked about.
var ErrPerson = errors.New("want a name and an ID number, then a card, then a telephone, each of at most 200 bytes")

// Elements is how many are asked about: 2 name and ID number, 3 and card, 4 and telephone. Error: [ErrPerson].
func (p Person) Elements() (int, error) {
	for _, s := range p.fields() {
		if len(s) > maxField {
			return 0, ErrPerson
		}
	}
	switch {
	case p.Name == "" || p.Number == "" || p.Card == "" && p.Phone != "":
		return 0, ErrPerson
	case p.Card == "":
		return 2, nil
	case p.Phone == "":
		return 3, nil
	}
	return 4, nil
}

func (p Person) fields() [4]string { return [4]string{p.Name, p.Number, p.Card, p.Phone} }

func (p Person) hidden() string {
	n, err := p.Elements()
	if err != nil {
		return "a person who cannot be asked about"
	}
	return fmt.Sprintf("a person of %d elements", n)
}

// Format hides the person from every verb.
func (p Person) Format(s fmt.State, _ rune) { fmt.Fprint(s, p.hidden()) }

// MarshalText hides the person from JSON and its like.
func (p Person) MarshalText() ([]byte, error) { return []byte(p.hidden()), nil }

// LogValue hides the person from logs.
func (p Person) LogValue() slog.Value { return slog.StringValue(p.hidden()) }

// Answer is what a database says. The text is the fact "identity" of risk's rules.
type Answer int

// Answers. The number is stored; the zero value is none.
const (
	Match         Answer = 1
	Mismatch      Answer = 2
	NotInDatabase Answer = 3
)

var answerNames = []string{"none", "match", "mismatch", "not-in-database"}

func (a Answer) String() string {
	if a < 0 || int(a) >= len(answerNames) {
		return fmt.Sprintf("answer %d", int(a))
	}
	return answerNames[a]
}

// Verifier asks a provider. It returns when ctx ends, at the latest soon after. An error means that there is no answer; a [Fault] or [ErrNotSent] in it says
// more, any other text of it is dropped, because it may repeat the person.
type Verifier interface {
	Verify(ctx context.Context, p Person) (Answer, error)
}

// ErrNotSent says that a request did not leave, so that it costs nothing.
var ErrNotSent = errors.New("the request was not sent")

// Fault is a provider's code for having no answer. It is repeated in our error if it is 1 to 24 of letters, digits, '.', '_' and '-' and none of the
// person's fields is in it.
type Fault string

func (f Fault) Error() string { return "the provider's code is " + string(f) }
