package ep

// Settings are the choices of this package where cards differ (purse facts chapter 12). The zero value holds the recommended ones. What
// only a card's issuer or the backend chooses is not here: the algorithm byte of SM4 is keys.Soft's, key levels are the profile's.
type Settings struct {
	// ChallengeLength is how many bytes GET CHALLENGE asks for before a secured command (C9): 4, 8, or 16 on SM4 cards; 0 is 4.
	ChallengeLength int
}

func (s Settings) challenge() int {
	if s.ChallengeLength == 0 {
		return 4
	}
	return s.ChallengeLength
}

// With returns the card with other settings.
func (c *Card) With(s Settings) *Card { return &Card{t: c.t, purse: c.purse, settings: s} }
