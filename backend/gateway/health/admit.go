package health

// Admit says whether a payment is part of the share of traffic that a cell takes. Payers who complain less come first: of all payers a part is
// tolerant, and only where the share is larger than that part others are let in. u is a number from 0 to below 1 that belongs to the payment, evenly
// spread, so that asking again gives the same answer.
func Admit(share, tolerantPart float64, tolerant bool, u float64) bool {
	switch {
	case share >= 1:
		return true
	case share <= 0:
		return false
	case tolerantPart <= 0 || tolerantPart >= 1:
		return u < share
	case tolerant:
		return u < share/tolerantPart
	default:
		return u < (share-tolerantPart)/(1-tolerantPart)
	}
}

// ShareOf is how much of its traffic a cell may take, where shares lists the cells that take less than all: the smallest of the channel's as a whole, its bank's and its own.
func ShareOf(shares map[Cell]float64, c Cell) float64 {
	share := 1.0
	if s, ok := shares[c.Whole()]; ok {
		share = s
	}
	if c.Bank != "" {
		if s, ok := shares[Cell{Channel: c.Channel, Bank: c.Bank}]; ok {
			share = min(share, s)
		}
	}
	if s, ok := shares[c]; ok {
		share = min(share, s)
	}
	return share
}
