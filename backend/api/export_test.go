package api

// ProblemOf is the problem document of an error.
func ProblemOf(err error) Problem { return problemOf(err) }

// Whose says whose a token is, as name, role and acquirer; found says whether it is anyone's.
func (t Tokens) Whose(token string) (name, role, acquirer string, found bool) {
	c, found := t.find(token)
	return c.Name, string(c.Role), string(c.Acquirer), found
}

// Len is how many tokens there are.
func (t Tokens) Len() int { return len(t.all) }
