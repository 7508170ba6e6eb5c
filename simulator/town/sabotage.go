package town

import (
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/terminal/tap"
	uplink "github.com/purselane/purselane/uplink/intake"
)

// sabotage spoils one part of a town, for the tests that prove that a checker can fail. In an honest town it is nil.
type sabotage struct {
	light   func(m *terminal, died error) (tap.Result, bool)
	handler func(uplink.Handler) uplink.Handler
	profile func(*firmwareconfig.Profile)
	posting func(*backend)
}

// lightOf is what a terminal shows that goes dark: nothing, in an honest town.
func (s *sabotage) lightOf(m *terminal, died error) (tap.Result, bool) {
	if s == nil || s.light == nil {
		return tap.Result{}, false
	}
	return s.light(m, died)
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
