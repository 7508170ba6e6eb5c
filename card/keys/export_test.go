package keys

// Doors for the tests of this package.
var (
	ParseRing = parseRing
	GiveName  = giveName
)

// Text is the inner form of a sealed file.
func (r *Ring) Text() ([]byte, error) { return r.text() }
