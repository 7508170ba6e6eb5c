package settlement_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/shadowaccount/fee"
)

func schedule(t require.TestingT, text string) fee.Schedule {
	s, err := fee.Parse([]byte(text))
	require.NoError(t, err)
	return s
}

func (w *scheme) contract(kind, party, text string) error {
	return settlement.SetContract(w.ctx, w.store, kind, party, schedule(w.t, text), at(monday).Now)
}

func (w *scheme) fees(day, acquirer string) string {
	out, err := settlement.Load(w.ctx, w.store, day)
	require.NoError(w.t, err)
	for _, f := range out.CSV {
		if f.Name == "fees-"+day+"-"+acquirer+".csv" {
			return string(f.Body)
		}
	}
	return ""
}

// The bus pays 1 % from Tuesday. Monday keeps its half per cent, and its bytes.
func TestAContractIsInForceFromItsDay(t *testing.T) {
	w := opened(t)
	w.load(1, monday, "500.00", books.AcquirerSoldLoads(bus))
	w.tap(monday, good(1, bus, "100.00"))
	first := w.close(monday)
	require.Equal(t, "0.50", first.Report.Acquirers[0].Fees.Total.String())
	require.NoError(t, w.contract("acquirer", "bus", `terms: [{from: 2026-11-24, standards: [{name: dear, side: inside, charges: [{kind: service, model: rate, ppm: 10000}]}]}]`))
	w.tap(tuesday, good(1, bus, "100.00"), good(1, metro, "100.00"))
	out := w.close(tuesday)
	require.Equal(t, "1.00", out.Report.Acquirers[0].Fees.Total.String())
	require.Equal(t, "0.50", out.Report.Acquirers[1].Fees.Total.String(), "nobody else's contract")
	require.Equal(t, first.Files(), w.close(monday).Files())
	require.Equal(t, "-2.00", w.balanceOf("fee:merchant:service"))
	require.Contains(t, w.fees(tuesday, "bus"), "3,bus,dear,fee,service,100.00,1,,,1.00\n")
	w.sound()
}

// A merchant's own contract goes before its acquirer's: half even, 6 % VAT in the fee, each payment by itself.
func TestAMerchantsContractWithTaxIsPosted(t *testing.T) {
	w := opened(t)
	require.NoError(t, w.contract("merchant", "bus", `
terms:
  - from: 2026-11-01
    standards:
      - name: shop
        side: inside
        rounding: half-even
        tax: {kind: vat, ppm: 60000, included: true}
        charges: [{kind: pay, model: rate, ppm: 10600, per: transaction, min: 0.53}]
`))
	w.load(1, monday, "500.00", books.AcquirerSoldLoads(bus))
	w.tap(monday, good(1, bus, "100.00"), good(1, bus, "2.00"), good(1, bus, "2.00"), good(1, bus, "0.00"))
	out := w.close(monday)
	m := out.Report.Acquirers[0].Merchants[0]
	// 1.06 and twice 0.53: 2.12, of which 2.00 is the fee and 0.12 the tax.
	require.Equal(t, settlement.Fees{Total: amt("2.12"), Parts: []fee.Part{{Kind: "pay", Amount: amt("2.00")}, {Kind: "vat", Amount: amt("0.12"), Tax: true}}}, m.Fees)
	require.Equal(t, "101.88", m.Net.String())
	require.Equal(t, []fee.Part{{Kind: "service"}, {Kind: "pay", Amount: amt("2.00")}, {Kind: "vat", Amount: amt("0.12"), Tax: true}}, out.Report.Acquirers[0].Fees.Parts)
	require.Equal(t, "-2.00", w.balanceOf("fee:merchant:pay"))
	require.Equal(t, "-0.12", w.balanceOf(books.Tax("vat")))
	require.Equal(t, "0.00", w.balanceOf(books.MerchantPending("bus")))
	require.Contains(t, w.fees(monday, "bus"), "3,bus,shop,tax,vat,104.00,3,,,0.12\n")
	require.Contains(t, string(out.CSV[0].Body), "merchant,bus,bus,tax:vat,,0.12\n")
	w.sound()
}

// A month's maximum holds over the days, over a tap that is taken back, and begins anew with a new term.
func TestAChargePerMonthCountsTheClosedDays(t *testing.T) {
	w := opened(t)
	require.NoError(t, w.contract("acquirer", "metro", `
terms:
  - from: 2026-11-01
    standards: [{name: cap, side: inside, charges: [{kind: service, model: rate, ppm: 10000, per: month, max: 2.50}]}]
  - from: 2026-11-25
    standards: [{name: next, side: inside, charges: [{kind: service, model: rate, ppm: 10000, per: month, max: 2.50}]}]
`))
	w.load(1, monday, "900.00", books.Channel("online"))
	w.seq["metro"] = 50
	w.tap(monday, good(1, metro, "200.00"))
	first := w.close(monday)
	require.Equal(t, "2.00", first.Report.Acquirers[1].Fees.Total.String())

	late := good(1, bus, "200.00") // an older claim to the same counter: the metro's tap is taken back
	late.again = true
	w.tap(tuesday, late, good(1, metro, "150.00"))
	second := w.close(tuesday)
	require.Equal(t, "-0.50", second.Report.Acquirers[1].Fees.Total.String(), "1.50 for the month, 2.00 of it charged")
	require.Contains(t, w.fees(tuesday, "metro"), "3,metro,cap,fee,service,-50.00,0,200.00,1,-0.50\n")

	w.tap(day3, good(1, metro, "300.00"))
	third := w.close(day3)
	require.Equal(t, "2.50", third.Report.Acquirers[1].Fees.Total.String(), "the new term counts its own days: its maximum, not what was left of the old one's")
	w.tap("2026-11-26", good(1, metro, "10.00"))
	fourth := w.close("2026-11-26")
	require.Equal(t, "0.00", fourth.Report.Acquirers[1].Fees.Total.String(), "the first day of the term has used its maximum up")
	for day, out := range map[string]settlement.Output{monday: first, tuesday: second, day3: third, "2026-11-26": fourth} {
		require.Equal(t, out.Files(), w.close(day).Files())
	}
	w.sound()
}

func TestContractsThatAreRefused(t *testing.T) {
	w := opened(t)
	const plain = `terms: [{from: 2026-11-01, standards: [{name: a, side: inside, charges: [{kind: service, model: rate, ppm: 6000}]}]}`
	require.ErrorIs(t, w.contract("acquirer", "tram", plain+"]"), settlement.ErrParty)
	require.ErrorIs(t, w.contract("terminal", "bus", plain+"]"), settlement.ErrParty)
	for text, want := range map[string]string{
		`[{name: a, side: outside, charges: [{kind: k, model: rate, ppm: 1}]}]`:               "charged inside",
		`[{name: a, side: inside, charges: [{kind: k, model: rate, ppm: 1, side: outside}]}]`: "charged inside",
		`[{name: a, side: inside, charges: [{kind: k, model: rate, ppm: 1, to: agent}]}]`:     "goes to agent",
	} {
		require.ErrorContains(t, w.contract("merchant", "bus", "terms: [{from: 2026-11-01, standards: "+text+"}]"), want)
	}
	require.ErrorContains(t, w.contract("channel", "online", `terms: [{from: 2026-11-01, standards: [{name: a, side: inside, charges: [{kind: k, model: rate, ppm: 1, per: month}]}]}]`), "one sum")

	require.NoError(t, w.contract("acquirer", "bus", plain+"]"))
	w.close(monday)
	require.NoError(t, w.contract("acquirer", "bus", plain+"]"), "the same again")
	require.ErrorIs(t, w.contract("acquirer", "bus", strings.Replace(plain, "6000", "7000", 1)+"]"), settlement.ErrContract)
	require.ErrorIs(t, w.contract("acquirer", "bus", plain+", {from: 2026-11-23, standards: []}]"), settlement.ErrContract)
	require.ErrorIs(t, w.contract("acquirer", "bus", plain+"]\nuntil: 2026-11-20"), settlement.ErrContract)
	require.ErrorIs(t, w.contract("acquirer", "metro", plain+"]"), settlement.ErrContract, "it would have been charged otherwise")
	require.NoError(t, w.contract("acquirer", "bus", plain+", {from: 2026-11-24, standards: []}]\nuntil: 2026-11-24"))
	require.Empty(t, w.close(tuesday).Report.Acquirers[0].Fees.Parts, "a term without fees")

	_, err := settlement.Close(w.ctx, w.store, day3, at(day3))
	require.ErrorIs(t, err, fee.ErrNotInForce, "no contract is not no fees")
	require.ErrorContains(t, err, "acquirer bus")
	_, err = settlement.ContractOf(w.ctx, w.store, "merchant", "bus")
	require.ErrorIs(t, err, store.ErrNotFound)
}

// What docs/settlement.md shows as a contract is one.
func TestTheContractOfTheDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/settlement.md")
	require.NoError(t, err)
	_, text, found := strings.Cut(string(page), "```yaml\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "```")
	w := opened(t)
	require.NoError(t, w.contract("merchant", "bus", text))
}

// genContracts gives a scheme any of some contracts, with the month, taxes, and a term that begins on the second day.
func (w *scheme) genContracts(t *rapid.T) {
	const second = ", {from: 2026-11-24, standards: [{name: second, side: inside, rounding: down, charges: [{kind: other, model: tier-progressive, per: month, bands: [{up_to: 20.00, ppm: 30000}, {ppm: 3333, flat: 0.05}]}]}]}"
	for _, p := range [][2]string{{"acquirer", "bus"}, {"acquirer", "metro"}, {"merchant", "bus"}, {"merchant", "metro"}} {
		text := rapid.SampledFrom([]string{"",
			`{name: a, side: inside, charges: [{kind: service, model: rate, ppm: 7777, per: month, min: 0.30, max: 0.90}, {kind: tap, model: flat, flat: 0.03}]}`,
			`{name: b, side: inside, rounding: half-even, tax: {kind: vat, ppm: 60000}, charges: [{kind: pay, model: rate, ppm: 12345, per: transaction, min: 0.02}, {kind: x, model: rate, ppm: 3333}]}`,
			`{name: c, side: inside, tax: {kind: vat, ppm: 130000, included: true}, charges: [{kind: pay, model: tier-whole, per: month, by: count, bands: [{up_to_count: 3, each: 0.10}, {each: 0.05, ppm: 500}]}]}`,
			`{name: d, side: inside, collect: month, tax: {kind: vat, ppm: 60000}, charges: [{kind: service, model: rate, ppm: 7777, per: month, min: 1.30, max: 2.90}]}, {name: e, side: inside, charges: [{kind: tap, model: flat, flat: 0.03}]}`,
			`{name: f, side: inside, collect: month, rounding: down, charges: [{kind: pay, model: tier-whole, per: month, bands: [{up_to: 30.00, ppm: 20000}, {ppm: 3000}]}]}`,
		}).Draw(t, p[0]+" "+p[1])
		if text == "" {
			continue
		}
		text = "terms: [{from: 2026-11-01, standards: [" + text + "]}"
		if rapid.Bool().Draw(t, "second term") {
			text += second
		}
		require.NoError(t, w.contract(p[0], p[1], text+"]"))
	}
}
