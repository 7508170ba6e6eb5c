package city

import (
	_ "embed"

	"github.com/purselane/purselane/backend/node"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/firmware-config/fare"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/terminal/tap"
)

//go:embed scheme.yaml
var schemeYAML []byte

// SchemeYAML is the sample city's scheme, for `purselane init`.
func SchemeYAML() []byte { return append([]byte(nil), schemeYAML...) }

func sampleScheme() *node.Scheme {
	s, err := node.ParseScheme(schemeYAML)
	if err != nil {
		panic(err) // a test reads it too
	}
	return s
}

// place is a terminal of the city and what its readers sell.
type place struct {
	id       ids.TerminalID
	merchant ids.MerchantID
	name     string
	lanes    []lane
}

type lane struct {
	name          string
	mode          tap.Mode
	line, station fare.Code
}

// Indexes into the places.
const (
	bus1 = iota
	bus2
	firstStation
)

// places lists the city's terminals: two buses with two doors each, a gate array at each metro station, a shop.
func places(p *firmwareconfig.Profile) []place {
	var out []place
	for i, l := range p.Fares.Bus[:2] {
		id := []ids.TerminalID{"bus-1", "bus-2"}[i]
		out = append(out, place{id, "bus-lines", "Bus " + l.Name, []lane{
			{"front door", tap.BusFlat, l.Line, fare.Code{}}, {"rear door", tap.BusFlat, l.Line, fare.Code{}},
		}})
	}
	for _, s := range p.Fares.Metro.Stations {
		out = append(out, place{ids.TerminalID("gate-" + s.Code.String()), "metro", s.Name, []lane{
			{"in", tap.MetroEntry, fare.Code{0, 1}, s.Code}, {"out", tap.MetroExit, fare.Code{0, 1}, s.Code},
		}})
	}
	return append(out, place{"shop-1", "corner-shop", "Corner shop", []lane{{"till", tap.Sale, fare.Code{}, fare.Code{}}}})
}
