package api

// Operator says who has an operator's token. An agent's is none: it sells loads and switches nothing.
func (t Tokens) Operator(token string) (name string, ok bool) {
	c, ok := t.find(token)
	if !ok || c.Role != Operator {
		return "", false
	}
	return c.Name, true
}
