package ep

// FCI is the answer to SELECT of the application (purse facts 1.2): the AID of tag 84, and the content of EF 15 in 9F0C where
// the card gives it.
type FCI struct {
	Name    []byte // tag 84
	Version []byte // tag 9F08, may be absent
	Public  []byte // tag 9F0C: content of EF 15, 30 bytes on most cards, 32 and 45 exist
}
