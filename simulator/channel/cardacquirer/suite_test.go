package cardacquirer_test

import (
	"testing"

	"github.com/purselane/purselane/backend/gateway/channel"
	adapter "github.com/purselane/purselane/backend/gateway/channel/cardacquirer"
	"github.com/purselane/purselane/simulator/channel/channeltest"
)

func TestTheAdapterKeepsToTheSuite(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) *channeltest.Bench {
		s := open(t, true, adapter.Binary2)
		return &channeltest.Bench{
			Channel: s.a, Clock: s.clock, Weather: s.weather,
			Request: s.pay,
			Act:     func(string) error { return nil }, // a card pays at once
			Truth:   s.truth,
			Codes: []channeltest.Code{
				{Code: "68", Outcome: channel.Unknown}, {Code: "96", Outcome: channel.Unknown}, {Code: "10", Outcome: channel.Unknown},
				{Code: "05", Outcome: channel.Failed, Class: channel.ByIssuer}, {Code: "91", Outcome: channel.Failed, Class: channel.ByIssuer},
				{Code: "51", Outcome: channel.Failed, Class: channel.ByPayer}, {Code: "43", Outcome: channel.Failed, Class: channel.ByRisk},
				{Code: "03", Outcome: channel.Failed, Class: channel.BySetting}, {Code: "57", Outcome: channel.Failed, Class: channel.NotSupported},
			},
			WrongKeys: []channeltest.WrongKey{
				{Name: "another MAC key", Says: "MAC", Channel: s.adapter(t, func(c *adapter.Settings) { c.MAC = macKey(t, 18) })},
			},
		}
	})
}
