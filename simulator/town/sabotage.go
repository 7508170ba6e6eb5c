package town

import (
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/terminal/tap"
	uplink "github.com/purselane/purselane/uplink/intake"
)

// sabotage spoils one part of a town, for the tests that prove that a checker can fail. In an honest town it is nil.
type sabotage struct {
	journal func(tap.Journal) tap.Journal
	handler func(uplink.Handler) uplink.Handler
	profile func(*firmwareconfig.Profile)
	posting func(*backend)
}

func (s *sabotage) journalOf(j tap.Journal) tap.Journal {
	if s == nil || s.journal == nil {
		return j
	}
	return s.journal(j)
}

func (s *sabotage) handlerOf(h uplink.Handler) uplink.Handler {
	if s == nil || s.handler == nil {
		return h
	}
	return s.handler(h)
}

func (s *sabotage) spoilProfile(p *firmwareconfig.Profile) {
	if s != nil && s.profile != nil {
		s.profile(p)
	}
}

func (s *sabotage) afterPosting(b *backend) {
	if s != nil && s.posting != nil {
		s.posting(b)
	}
}
