package cardacquirer

import "github.com/purselane/purselane/backend/gateway/channel"

// verdict is what a response code (field 39) says of the money.
type verdict struct {
	outcome channel.Outcome
	class   channel.Class
}

// codes of ISO 8583. A code that is not here, such as 68, 94, 96 or 98, promises nothing. An approval of a part (10) is not there either: we
// never say that we take one.
var codes = map[string]verdict{
	"00": {channel.Succeeded, channel.NoClass},
	"01": {channel.Failed, channel.ByIssuer},
	"02": {channel.Failed, channel.ByIssuer},
	"03": {channel.Failed, channel.BySetting},
	"04": {channel.Failed, channel.ByRisk},
	"05": {channel.Failed, channel.ByIssuer},
	"07": {channel.Failed, channel.ByRisk},
	"12": {channel.Failed, channel.BySetting},
	"13": {channel.Failed, channel.BySetting},
	"14": {channel.Failed, channel.ByPayer},
	"15": {channel.Failed, channel.NotSupported},
	"25": {channel.Failed, channel.NoClass}, // what this one is about is not there
	"30": {channel.Failed, channel.BySetting},
	"33": {channel.Failed, channel.ByPayer},
	"34": {channel.Failed, channel.ByRisk},
	"36": {channel.Failed, channel.ByIssuer},
	"38": {channel.Failed, channel.ByPayer},
	"41": {channel.Failed, channel.ByRisk},
	"43": {channel.Failed, channel.ByRisk},
	"51": {channel.Failed, channel.ByPayer},
	"54": {channel.Failed, channel.ByPayer},
	"55": {channel.Failed, channel.ByPayer},
	"57": {channel.Failed, channel.NotSupported},
	"58": {channel.Failed, channel.BySetting},
	"59": {channel.Failed, channel.ByRisk},
	"61": {channel.Failed, channel.ByPayer},
	"62": {channel.Failed, channel.ByIssuer},
	"65": {channel.Failed, channel.ByPayer},
	"75": {channel.Failed, channel.ByPayer},
	"91": {channel.Failed, channel.ByIssuer},
	"92": {channel.Failed, channel.ByChannel},
	"A0": {channel.Failed, channel.BySetting}, // our MAC does not verify there
}

// States of another transaction beside its code, in the answer to an enquiry (field 44).
const (
	Reversed = "RV" // it got no answer, and was taken back
	Voided   = "VD" // it was paid, and given back as a whole on the same day
)
