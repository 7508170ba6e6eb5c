package desfire

// SetFault makes the steps of saving the card's file fail, for tests of crashes.
func (c *Card) SetFault(f func(step string) error) { c.file.Fault = f }
