package acceptance_test

import (
	"crypto/ed25519"
	"encoding/xml"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/bankfile"
	"github.com/purselane/purselane/backend/ledger"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/settlement/acquirerfile"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/shadowaccount/books"
	"github.com/purselane/purselane/terminal/edge"
	"github.com/purselane/purselane/terminal/tap"
)

const day = "2026-03-02"

// TestAShopIsPaid is the seven steps of a shop, from the keypad to the bank: an amount is typed, the card is asked for, debited and answers, the sale
// is done, its record goes up and is settled with the merchant's acquirer, and the bank pays.
//
// The holder has paid 50.00 in cash for a load. Two sales of 12.34 and 7.85 leave 29.81. The shop's acquirer pays one percent and two cents for each
// sale, which is 0.24, and gets 19.95. So the trust account has 30.05: 29.81 that cards still hold, and 0.24 of fees.
func TestAShopIsPaid(t *testing.T) {
	s := newStand(t, store.Options{NoSync: true})
	s.load("50.00")
	page, status := s.fetch(http.MethodGet, s.local.URL+"/till", "", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(page), "<html")

	first := s.sells(t)
	s.uploads(t)
	files := s.closes(t, first)
	order := s.orders(t)
	s.isPaid(t, order)

	// Nothing of it has changed since, and none of it is made twice.
	require.Equal(t, files, s.files(t))
	again := s.instructs(t)
	require.Equal(t, []string{order.Name, string(order.Body)}, []string{again.Name, string(again.Body)})
	require.Equal(t, []string{"paid", "paid"}, []string{again.Payments[0].State, again.Expected[0].State})
}

// sells are steps 1 to 5. It returns the first sale.
func (s *stand) sells(t *testing.T) answer {
	first, e := s.sell("sale-1", "12.34")
	require.Equal(t, answer{http.StatusOK, "sale-1", "completed", "granted", "12.34", "37.66", s.card.Number().String(), first.Tap, "", ""}, first)
	require.Equal(t, tap.Granted, e.Result.Outcome)
	require.Equal(t, "12.34", e.Result.Amount.String())
	require.Equal(t, "37.66", s.card.Balance().String(), "the card itself says so")

	// The till has lost the answer and asks again: it is told the same, and no card is asked for. One sale has one amount.
	require.Equal(t, first, s.key("sale-1", "12.34"))
	require.Equal(t, first, s.ask(http.MethodGet, "/v1/sales/sale-1", ""))
	other := s.key("sale-1", "12.35")
	require.Equal(t, []any{http.StatusUnprocessableEntity, "request-reused"}, []any{other.status, other.Code})
	require.Equal(t, edge.LaneIdle, s.terminal.Lanes()[0].State)

	poor, _ := s.sell("sale-2", "37.67")
	require.Equal(t, []string{"refused", "refused-balance", ""}, []string{poor.State, poor.Outcome, poor.Amount})
	second, _ := s.sell("sale-3", "7.85")
	require.Equal(t, []string{"completed", "7.85", "29.81"}, []string{second.State, second.Amount, second.Balance})
	require.Equal(t, "29.81", s.card.Balance().String())
	require.EqualValues(t, 2, s.card.OfflineCounter(), "two debits, whatever was asked how often")
	return first
}

// uploads is the first half of step 6: the records have their receipts and are posted.
func (s *stand) uploads(t *testing.T) {
	s.until("every record has a receipt", func() bool { return s.terminal.Journal().AckedSeq() == 2 })
	require.EqualValues(t, 2, s.terminal.Journal().LastSeq())
	require.NoError(t, s.node.Post(t.Context()))
	require.NoError(t, s.node.Store().View(t.Context(), func(tx *store.Tx) error {
		card, err := tx.CardByNumber(t.Context(), s.card.Number())
		require.Equal(t, "29.81", card.Shadow.String())
		return err
	}))
	require.Equal(t, "-20.19", s.balanceOf(books.MerchantPending("corner-shop")))
	require.Equal(t, "-29.81", s.balanceOf(books.Float))
	require.Equal(t, "50.00", s.balanceOf(books.AcquirerSoldLoads(cashDesk)))
}

// closes is the second half of step 6: the day is over and closed, and the acquirer fetches its files, which verify. It returns them.
func (s *stand) closes(t *testing.T, first answer) []settlement.AcquirerFile {
	s.clock.Set(noon.Add(14 * time.Hour)) // two at night
	out, err := s.node.Settle(t.Context(), day)
	require.NoError(t, err)
	again, err := s.node.Settle(t.Context(), day)
	require.NoError(t, err)
	require.Equal(t, out.Files(), again.Files())
	require.Equal(t, []string{"0.00", "30.05", "29.81", "0.24"}, []string{out.Report.Proof.ZeroSum.String(), out.Report.Proof.TrustMovement.String(),
		out.Report.Proof.FloatMovement.String(), out.Report.Proof.MerchantFees.String()})
	require.Equal(t, "2026-03-03", out.Report.Due)

	files := s.files(t)
	sums := map[acquirerfile.Kind]string{}
	for i := 0; i < len(files); i += 2 {
		body, signature := files[i], files[i+1]
		got, err := acquirerfile.Parse(body.Body)
		require.NoError(t, err)
		require.NoError(t, acquirerfile.Verify(s.receipts.Public().(ed25519.PublicKey), body.Body, signature.Body))
		spoiled := append([]byte{body.Body[0] ^ 1}, body.Body[1:]...)
		require.ErrorIs(t, acquirerfile.Verify(s.receipts.Public().(ed25519.PublicKey), spoiled, signature.Body), acquirerfile.ErrSignature)
		if body.Acquirer != shop {
			continue
		}
		require.Equal(t, body.Body, s.fetches(t, shop, body.Name))
		require.Equal(t, signature.Body, s.fetches(t, shop, signature.Name))
		_, status := s.fetch(http.MethodGet, s.fileURL(body.Name), s.tokens[cashDesk], "")
		require.Equal(t, http.StatusNotFound, status, "it is nobody else's")
		sums[got.Kind] = fmt.Sprint(len(got.Rows), " ", got.Sum)
		if got.Kind == acquirerfile.Result {
			require.Equal(t, first.Tap, tapOf(got.Rows[0]))
			require.Equal(t, []string{"12.34", "7.85"}, []string{got.Rows[0][14], got.Rows[1][14]})
		}
	}
	require.Equal(t, "2 20.19", sums[acquirerfile.Result])
	require.Contains(t, sums[acquirerfile.Report], " 19.95")
	require.Contains(t, sums[acquirerfile.Fees], " 0.24")

	require.Equal(t, []string{"0.00", "0.00", "-19.95", "50.00", "0.00"}, []string{s.balanceOf(books.MerchantPending("corner-shop")), s.balanceOf(books.MerchantAvailable("corner-shop")),
		s.balanceOf(books.AcquirerClearing(shop)), s.balanceOf(books.AcquirerClearing(cashDesk)), s.balanceOf(books.AcquirerSoldLoads(cashDesk))})
	return files
}

// tapOf is the tap that a line of the result file names, as terminals and tills write it.
func tapOf(row []string) string { return row[0] + "/" + row[1] + "/" + row[2] }

func (s *stand) files(t *testing.T) []settlement.AcquirerFile {
	out, err := settlement.SignedFiles(t.Context(), s.node.Store(), day, s.receipts)
	require.NoError(t, err)
	require.Len(t, out, 3*2*3, "three acquirers, three files each, and their signatures")
	return out
}

func (s *stand) fileURL(name string) string {
	return s.server.URL + "/v1/settlement/" + day + "/files/" + name
}

func (s *stand) fetches(t *testing.T, who ids.AcquirerID, name string) []byte {
	raw, status := s.fetch(http.MethodGet, s.fileURL(name), s.tokens[who], "")
	require.Equal(t, http.StatusOK, status, "%s", raw)
	return raw
}

const trustNumber = "6222000011112222"

func (s *stand) bank() settlement.BankOptions {
	return settlement.BankOptions{Now: s.clock.Now(), Location: noon.Location(), Initiator: "Sample City"}
}

func (s *stand) instructs(t *testing.T) settlement.Order {
	out, err := settlement.Instruct(t.Context(), s.node.Store(), day, s.bank())
	require.NoError(t, err)
	return out
}

// payments is what the test reads of a pain.001 with a reader of its own.
type payments struct {
	XMLName xml.Name
	Count   int    `xml:"CstmrCdtTrfInitn>GrpHdr>NbOfTxs"`
	Sum     string `xml:"CstmrCdtTrfInitn>GrpHdr>CtrlSum"`
	Due     string `xml:"CstmrCdtTrfInitn>PmtInf>ReqdExctnDt>Dt"`
	From    string `xml:"CstmrCdtTrfInitn>PmtInf>DbtrAcct>Id>Othr>Id"`
	Each    []struct {
		ID     string `xml:"PmtId>EndToEndId"`
		Amount struct {
			Currency string `xml:"Ccy,attr"`
			Value    string `xml:",chardata"`
		} `xml:"Amt>InstdAmt"`
		To string `xml:"CdtrAcct>Id>IBAN"`
	} `xml:"CstmrCdtTrfInitn>PmtInf>CdtTrfTxInf"`
}

// orders is the first half of step 7: the bank is told to pay, in a file that a stranger can read.
func (s *stand) orders(t *testing.T) settlement.Order {
	for _, p := range []struct{ kind, id, number string }{{"scheme", "trust", trustNumber}, {"acquirer", string(shop), "DE89370400440532013000"}, {"acquirer", string(cashDesk), "6222000033334444"}} {
		require.NoError(t, settlement.SetBankAccount(t.Context(), s.node.Store(), p.kind, p.id, bankfile.Account{Name: "Owner of " + p.id, Number: p.number, Bank: "COBADEFF"}, s.clock.Now()))
	}
	order := s.instructs(t)
	require.Equal(t, order, s.instructs(t), "once, and the same bytes")
	path := filepath.Join(t.TempDir(), order.Name)
	require.NoError(t, os.WriteFile(path, order.Body, 0o600))
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var got payments
	require.NoError(t, xml.Unmarshal(raw, &got))
	require.Equal(t, "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09", got.XMLName.Space)
	require.Equal(t, []any{1, "19.95", "2026-03-03", trustNumber}, []any{got.Count, got.Sum, got.Due, got.From})
	require.Len(t, got.Each, 1)
	require.Equal(t, []string{order.Payments[0].ID, "CNY", "19.95", "DE89370400440532013000"}, []string{got.Each[0].ID, got.Each[0].Amount.Currency, got.Each[0].Amount.Value, got.Each[0].To})
	require.Len(t, order.Expected, 1)
	require.Equal(t, []string{string(cashDesk), "50.00"}, []string{order.Expected[0].Party, order.Expected[0].Amount.String()})
	require.Equal(t, []string{"-19.95", "0.00"}, []string{s.balanceOf(books.BankTransit), s.balanceOf(books.AcquirerClearing(shop))})
	return order
}

// isPaid is the second half of step 7: the bank's statement shows both payments, nobody owes anybody anything, and the books prove it.
func (s *stand) isPaid(t *testing.T, order settlement.Order) {
	s.clock.Advance(24 * time.Hour)
	entry := func(ref, side, amount, id string) string {
		return fmt.Sprintf(`<Ntry><NtryRef>%s</NtryRef><Amt Ccy="CNY">%s</Amt><CdtDbtInd>%s</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-03-03</Dt></BookgDt>
			<NtryDtls><TxDtls><Refs><EndToEndId>%s</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>`, ref, amount, side, id)
	}
	text := `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>ST1</Id><Acct><Id><Othr><Id>` + trustNumber + `</Id></Othr></Id></Acct>` +
		entry("1", "DBIT", "19.95", order.Payments[0].ID) + entry("2", "CRDT", "50.00", order.Expected[0].ID) + `</Stmt></BkToCstmrStmt></Document>`
	for _, want := range []settlement.Imported{{New: 2}, {Same: 2}} {
		got, err := settlement.ImportStatement(t.Context(), s.node.Store(), strings.NewReader(text), s.bank())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for account, want := range map[books.Account]string{
		books.AcquirerClearing(shop): "0.00", books.AcquirerClearing(cashDesk): "0.00", books.AcquirerClearing("bus-company"): "0.00", books.BankTransit: "0.00",
		books.AcquirerSoldLoads(cashDesk): "0.00", books.MerchantPending("corner-shop"): "0.00", books.MerchantAvailable("corner-shop"): "0.00",
		books.Trust: "30.05", books.Float: "-29.81", "fee:merchant:service": "-0.20", "fee:merchant:transaction": "-0.04",
	} {
		require.Equal(t, want, s.balanceOf(account), account)
	}
	require.Equal(t, "29.81", s.card.Balance().String())
	require.NoError(t, s.node.Store().View(t.Context(), func(tx *store.Tx) error {
		head, err := tx.ClosedDay(t.Context(), day)
		require.NoError(t, err)
		require.True(t, head.Paid())
		proof, err := ledger.Prove(t.Context(), tx, "2026-03-03", s.clock.Now())
		require.NoError(t, err)
		require.True(t, proof.Passed, "%s", proof.Text())
		return nil
	}))
}
