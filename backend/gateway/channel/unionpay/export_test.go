package unionpay

import "github.com/purselane/purselane/backend/gateway/channel"

// Verdict is one line of the table of codes.
type Verdict struct {
	Outcome channel.Outcome
	Class   channel.Class
}

func Signed(f Form) string                 { return f.signed() }
func Digest(f Form) [32]byte               { return f.digest() }
func Accepted(code string) channel.Outcome { return accepted(code).outcome }

// Codes is the table of codes.
func Codes() map[string]Verdict {
	out := map[string]Verdict{}
	for code, v := range codes {
		out[code] = Verdict{v.outcome, v.class}
	}
	return out
}
