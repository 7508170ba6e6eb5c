package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/backend/settlement"
	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// The surplus of the trust account goes to a reserve, by two persons, and too little left there is told.
func TestSettleTransfer(t *testing.T) {
	dir := closedScheme(t)
	run := func(args ...string) (string, error) { return runSettle(t, append(args, "--dir", dir)...) }
	must := func(args ...string) string {
		t.Helper()
		out, err := run(args...)
		require.NoError(t, err)
		return out
	}
	_, err := run("limits", "--account", "trust", "--minimum", "200.00")
	require.ErrorIs(t, err, settlement.ErrOwnAccount)
	must("account", "--party", "scheme:trust", "--name", "Trust", "--number", "6222000011112222", "--bank", "102100099996")
	must("account", "--party", "scheme:reserve", "--name", "Reserve", "--number", "6222000099990000", "--bank", "104100000004")
	_, err = run("limits", "--account", "trust", "--minimum", "a lot")
	require.ErrorContains(t, err, "--minimum")
	require.Contains(t, must("limits", "--account", "trust", "--minimum", "200.00", "--once", "900.00"), "own account trust: no balance from the bank yet, books 0.00, promised 0.00, free 0.00, minimum 200.00  BELOW MINIMUM")

	statement := func(amount string) string {
		path := filepath.Join(t.TempDir(), "s.xml")
		require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><Stmt><Id>S%s</Id><Acct><Id><Othr><Id>6222000011112222</Id></Othr></Id></Acct>
			<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">%[1]s</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-24</Dt></Dt></Bal></Stmt></BkToCstmrStmt></Document>`, amount), 0o644))
		return path
	}
	must("bank-import", statement("1000.00"))
	_, err = run("transfer", "propose", "--from", "trust", "--to", "reserve", "--amount", "0", "--by", "ann", "--reason", "surplus")
	require.ErrorContains(t, err, "--amount")
	said := must("transfer", "propose", "--from", "trust", "--to", "reserve", "--amount", "surplus", "--by", "ann", "--reason", "surplus")
	id := regexp.MustCompile(`PX[0-9]{8}[A-Z2-7]{20}`).FindString(said)
	require.Contains(t, said, "800.00")
	_, err = run("transfer", "approve", id, "--by", "ann")
	require.ErrorIs(t, err, settlement.ErrSamePerson)
	must("transfer", "approve", id, "--by", "ben")
	must("transfer", "approve", id, "--by", "ben")
	require.FileExists(t, filepath.Join(dir, "settlement", "transfers", id+".xml"))
	require.Contains(t, must("transfer", "list"), id+"  ordered  800.00 from trust to reserve, by ann: surplus; decided by ben")
	_, err = run("transfer", "refuse", id, "--by", "ben", "--reason", "late")
	require.ErrorIs(t, err, settlement.ErrDecided)

	said, err = run("bank-import", statement("900.00"))
	require.ErrorIs(t, err, errAlarms)
	require.Contains(t, said, "ALARM below-minimum scheme:trust: 100.00 is free, and 200.00 should stay there")
	require.Contains(t, must("bank"), "own account trust: bank 900.00 on 2026-11-24, books 0.00, promised 800.00, free 100.00, minimum 200.00  BELOW MINIMUM")
}

// A party that owes a day is debited once it has signed.
func TestSettleMandate(t *testing.T) {
	dir := closedScheme(t)
	run := func(args ...string) (string, error) { return runSettle(t, append(args, "--dir", dir)...) }
	must := func(args ...string) string {
		t.Helper()
		out, err := run(args...)
		require.NoError(t, err)
		return out
	}
	s, err := store.Open(t.Context(), node.DatabasePath(filepath.Join(dir, folderData)), store.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		lines, err := books.Move(books.AcquirerSoldLoads("bus"), books.Funding, money.Minor(80_00))
		require.NoError(t, err)
		return tx.Post(t.Context(), books.Entry{ID: "sold", Kind: "load-paid", Day: "2026-11-25", Lines: lines})
	}))
	_, err = settlement.Close(t.Context(), s, "2026-11-25", settlement.Options{Now: time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	must("account", "--party", "scheme:trust", "--name", "Trust", "--number", "6222000011112222", "--bank", "102100099996")
	must("account", "--party", "acquirer:bus", "--name", "Bus", "--number", "6222000033334444", "--bank", "104100000004")
	_, err = run("mandate", "--party", "acquirer:bus")
	require.ErrorContains(t, err, "--end")
	require.Contains(t, must("mandate", "--party", "acquirer:bus", "--id", "M1", "--signed", "2026-01-31", "--creditor", "CN98ZZZ1"), "acquirer:bus is debited")
	said := must("instruct", "--day", "2026-11-25")
	require.Regexp(t, `debit   PS20261125[A-Z2-7]{20}  acquirer:bus  80\.00`, said)
	require.Equal(t, said, must("instruct", "--day", "2026-11-25"))
	body, err := os.ReadFile(filepath.Join(dir, "settlement", "2026-11-25", "PM202611250001.xml"))
	require.NoError(t, err)
	require.Contains(t, string(body), "pain.008.001.08")
	require.Contains(t, must("bank", "--day", "2026-11-25"), "debit   PS20261125")
	require.Contains(t, must("mandate", "--party", "acquirer:bus", "--end"), "waited for")
}
