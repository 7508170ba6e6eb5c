package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/settlement"
)

// A day goes to the bank, is rejected, is ordered again by two persons, is paid, and comes back.
func TestSettleThroughTheBank(t *testing.T) {
	dir := closedScheme(t)
	const day = "2026-11-24"
	run := func(args ...string) (string, error) { return runSettle(t, append(args, "--dir", dir)...) }
	must := func(args ...string) string {
		t.Helper()
		out, err := run(args...)
		require.NoError(t, err)
		return out
	}
	_, err := run("instruct", "--day", day)
	require.ErrorIs(t, err, settlement.ErrAccount)
	must("account", "--party", "acquirer:bus", "--name", "Bus", "--number", "6222000033334444", "--bank", "104100000004")
	must("account", "--party", "scheme:trust", "--name", "Trust", "--number", "6222000011112222", "--bank", "102100099996")
	must("limits", "--account", "trust", "--minimum", "10.00")
	said := must("instruct", "--day", day)
	require.Contains(t, said, "promised 50.00, free -50.00, minimum 10.00  BELOW MINIMUM")
	require.Equal(t, said, must("instruct", "--day", day))
	file := filepath.Join(dir, "settlement", day, "PM202611240001.xml")
	first, err := os.ReadFile(file)
	require.NoError(t, err)
	id := regexp.MustCompile(`PS20261124[A-Z2-7]{20}`).FindString(said)
	require.Contains(t, string(first), id)

	from := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	rejected := from("r.xml", `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"><CstmrPmtStsRpt><GrpHdr><MsgId>R</MsgId></GrpHdr>
		<OrgnlGrpInfAndSts><OrgnlMsgId>PM202611240001</OrgnlMsgId><GrpSts>RJCT</GrpSts></OrgnlGrpInfAndSts></CstmrPmtStsRpt></Document>`)
	said, err = run("bank-import", rejected)
	require.ErrorIs(t, err, errAlarms)
	require.Contains(t, said, "ALARM payment-rejected "+id)
	require.Contains(t, must("bank-import", rejected), "0 new, 1 known")

	require.Contains(t, must("resend", "--day", day, "--party", "acquirer:bus", "--by", "ann", "--reason", "asked"), day+"-1")
	_, err = run("approve", "--proposal", day+"-1", "--by", "Ann")
	require.ErrorIs(t, err, settlement.ErrSamePerson)
	said = must("approve", "--proposal", day+"-1", "--by", "ben")
	second := regexp.MustCompile(`PS20261124[A-Z2-7]{20}`).FindString(said)
	require.NotEqual(t, id, second)
	require.FileExists(t, filepath.Join(dir, "settlement", day, "PM202611240002.xml"))
	require.Contains(t, must("proposals", "--day", day), "Ann denied")
	require.Empty(t, must("proposals"))

	line := func(statement, side, extra string) string {
		return from(statement+".xml", fmt.Sprintf(`<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><Stmt><Id>%s</Id><Acct><Id><Othr><Id>6222000011112222</Id></Othr></Id></Acct>
			<Ntry><NtryRef>1</NtryRef><Amt Ccy="CNY">50.00</Amt><CdtDbtInd>%s</CdtDbtInd><Sts>BOOK</Sts><NtryDtls><TxDtls><Refs><EndToEndId>%s</EndToEndId></Refs>%s</TxDtls></NtryDtls></Ntry>
			</Stmt></BkToCstmrStmt></Document>`, statement, side, second, extra))
	}
	require.Contains(t, must("bank-import", line("S1", "DBIT", "")), "1 new")
	require.Contains(t, must("days"), "paid, reference PM202611240001")
	said, err = run("bank-import", line("S2", "CRDT", "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"))
	require.ErrorIs(t, err, errAlarms)
	require.Contains(t, said, "payment-returned")
	require.Contains(t, must("days"), "due ")
	require.Contains(t, must("bank", "--day", day), "attempt 2  returned AC04")

	_, err = run("bank-import", file)
	require.ErrorContains(t, err, "want pain.002 or camt.053")
	require.Contains(t, must("resend", "--day", day, "--party", "acquirer:bus", "--by", "ann", "--reason", "asked"), day+"-2")
	require.Contains(t, must("refuse", "--proposal", day+"-2", "--by", "ben", "--reason", "closed"), "refused")
	_, err = run("resend", "--day", day, "--party", "bus", "--by", "ann", "--reason", "asked")
	require.ErrorContains(t, err, "KIND:ID")
}
