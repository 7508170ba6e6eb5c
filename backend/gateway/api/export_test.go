package api

// Kinds lists the words and statuses of the gateway's errors.
func Kinds() map[string]int {
	out := map[string]int{}
	for _, k := range kinds {
		out[k.word] = k.status
	}
	return out
}
