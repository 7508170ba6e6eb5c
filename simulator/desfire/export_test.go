package desfire

// SetFault makes the steps of saving the card's file fail, for tests of crashes.
func (c *Card) SetFault(f func(step string) error) { c.file.Fault = f }

// SetCounter makes the card miscount within a transaction.
func (c *Card) SetCounter(tmc uint32) { c.pending().TMC = tmc }
