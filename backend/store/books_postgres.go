package store

import (
	"context"

	"github.com/purselane/purselane/shadowaccount/books"
)

// lockAccountsAtOnce is lockAccounts. Accounts without a row are left to lockedAccount.
func (t *Tx) lockAccountsAtOnce(ctx context.Context, lines []books.Line) error {
	names := make([]string, len(lines))
	for i, l := range lines {
		names[i] = string(l.Account)
	}
	t.ahead = make(map[books.Account]accountRow, len(lines))
	return t.rows(ctx, "lock accounts", func(scan func(...any) error) error {
		r, err := scanAccount(scan)
		if err == nil && !t.opened[r.name] {
			t.ahead[r.name] = r
		}
		return err
	}, `SELECT `+accountColumns+` FROM account WHERE name = ANY(?::text[]) ORDER BY name FOR UPDATE`, names)
}

// writeLinesAtOnce is writeLines in one statement.
func (t *Tx) writeLinesAtOnce(ctx context.Context, e books.Entry) error {
	line, account, amount := make([]int64, len(e.Lines)), make([]string, len(e.Lines)), make([]int64, len(e.Lines))
	for i, l := range e.Lines {
		line[i], account[i], amount[i] = int64(i), string(l.Account), l.Amount.Minor()
	}
	_, err := t.exec(ctx, "write lines", `INSERT INTO journal_line (entry, line, account, amount) SELECT ?::text, * FROM unnest(?::bigint[], ?::text[], ?::bigint[])`, e.ID, line, account, amount)
	return err
}

// putAccountsAtOnce writes rows in one statement.
func (t *Tx) putAccountsAtOnce(ctx context.Context, rows []accountRow) error {
	n := len(rows)
	name, class, number, seal := make([]string, n), make([]string, n), make([]string, n), make([][]byte, n)
	balance, switches, version, edited := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, r := range rows {
		name[i], class[i], number[i], seal[i] = string(r.name), string(r.class), r.number, r.seal
		balance[i], switches[i], version[i] = r.balance.Minor(), r.switches, r.version
		if r.edited {
			edited[i] = 1
		}
	}
	_, err := t.exec(ctx, "write accounts", `INSERT INTO account (`+accountColumns+`)
		SELECT * FROM unnest(?::text[], ?::text[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bytea[])`+accountReplaced,
		name, class, number, balance, switches, version, edited, seal)
	return err
}
