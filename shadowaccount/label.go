package shadowaccount

// Label says how a record looked when it came. It depends on the order of arrival, and nothing else does: it is for result
// files and for people.
type Label string

// Labels, an outside contract. The first that fits is given.
const (
	LabelBadMAC Label = "BAD_MAC" // its TAC does not verify
	LabelSame   Label = "SAME"    // it tells nothing that was not known
	LabelReuse  Label = "REUSE"   // the counter, or the debit, belongs to another claim
	LabelStale  Label = "STALE"   // below the counter up to which the card's chain was complete
	LabelLate   Label = "LATE"    // below the highest counter known: it fills a gap
	LabelOK     Label = "OK"
)

// LabelOf labels a record of a slot. complete and next are the card's before the record came (see [Audit]); news says whether
// the record changed its tap's claim; status is what the claim is worth now.
func LabelOf(c Claim, news bool, status Status, counter, complete, next uint32) Label {
	switch {
	case c.Proof == ProofBad:
		return LabelBadMAC
	case !news:
		return LabelSame
	case c.undecided(status) == Clone || c.Spent:
		return LabelReuse
	case counter < complete:
		return LabelStale
	case counter < next:
		return LabelLate
	}
	return LabelOK
}
