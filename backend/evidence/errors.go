package evidence

import "errors"

// Errors of Verify. Match with errors.Is.
var (
	ErrForm      = errors.New("not an evidence file of this version")
	ErrSignature = errors.New("the signature is not this key's")
	ErrChanged   = errors.New("the file was changed after it was signed")
	ErrContent   = errors.New("what the file says does not hold together")
)
