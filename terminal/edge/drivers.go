package edge

import (
	"github.com/purselane/purselane/card/keys"
	"github.com/purselane/purselane/card/purse"
	"github.com/purselane/purselane/card/purse/epdriver"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
)

// Drivers makes the drivers that a profile and the terminal's SAMs are enough for: that of the EP purse. Those of other families need more,
// and come by [Config.Families].
func Drivers(p *firmwareconfig.Profile, sams keys.SAMs) []purse.Driver {
	return []purse.Driver{epdriver.New(epSettings(p), sams)}
}

// readbacks are the profile's words for how much is read after a debit.
var readbacks = map[string]epdriver.Readback{
	"none": epdriver.ReadNothing, "balance": epdriver.ReadBalance, "full": epdriver.ReadBalanceAndLog,
}

func epSettings(p *firmwareconfig.Profile) epdriver.Settings {
	s := epdriver.Settings{
		KeyIndex: p.Card.KeyIndex, KeyLevels: p.Card.KeyLevels, LogsAfter: p.Card.LogCounter == "after", Management: p.Card.Management,
		Readback: readbacks[p.Card.Readback], CityCode: p.Card.Variant.MAC1Code == "city", Location: p.Location(),
		City: [2]byte(p.Operator.City), Institution: [8]byte(p.Operator.Institution), Operator: [2]byte(p.Operator.Code),
	}
	for _, aid := range p.Card.AIDs {
		s.AIDs = append(s.AIDs, aid)
	}
	return s
}
