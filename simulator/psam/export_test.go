package psam

// SetFault makes the steps of saving the PSAM's file fail, for tests of crashes.
func (p *PSAM) SetFault(f func(step string) error) { p.file.Fault = f }
