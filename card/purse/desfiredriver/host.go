package desfiredriver

// WrittenBy is the terminal number in a record of this package's layout, which the transaction MAC covers: who made the debit. False is no
// such record.
func WrittenBy(raw []byte) (number [6]byte, ok bool) {
	r, err := parseRecord(raw)
	return r.terminal, err == nil && r.kind != 0
}
