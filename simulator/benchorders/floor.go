package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver that backend/store uses
)

// floor writes the rows that some of the orders left into tables of the same columns and keys and nothing else, one commit an order.
type floor struct {
	db     *sql.DB
	rounds int
	orders int
	took   time.Duration
}

// kept are the tables of an order, with the column that names it.
var kept = []struct{ table, of string }{{"gateway_order", "id"}, {"gateway_payment", "order_id"}, {"gateway_timeline", "order_id"}}

// openFloor makes the tables, in a database beside that at path.
func openFloor(ctx context.Context, path string) (*floor, error) {
	db, err := sql.Open("sqlite", "file:"+path+".bare?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(20000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `ATTACH DATABASE ? AS own`, path); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	for _, k := range kept {
		var ddl string
		if err := db.QueryRowContext(ctx, `SELECT sql FROM own.sqlite_master WHERE type = 'table' AND name = ?`, k.table).Scan(&ddl); err != nil {
			return nil, errors.Join(err, db.Close())
		}
		if _, err := db.ExecContext(ctx, ddl); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return &floor{db: db}, nil
}

// Close closes the database.
func (f *floor) Close() error { return f.db.Close() }

type row struct {
	insert string
	values []any
}

// measure writes the rows of orders as they are by now.
func (f *floor) measure(ctx context.Context, orders []*sold) error {
	all := make([][]row, len(orders))
	for i, o := range orders {
		for _, k := range kept {
			rows, err := f.read(ctx, k.table, k.of, o.id)
			if err != nil {
				return err
			}
			all[i] = append(all[i], rows...)
		}
	}
	start := time.Now()
	for _, rows := range all {
		if err := f.write(ctx, rows); err != nil {
			return err
		}
	}
	f.rounds, f.orders, f.took = f.rounds+1, f.orders+len(orders), f.took+time.Since(start)
	return nil
}

func (f *floor) read(ctx context.Context, table, of, id string) ([]row, error) {
	rows, err := f.db.QueryContext(ctx, `SELECT * FROM own.`+table+` WHERE `+of+` = ?`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	insert := `INSERT INTO main.` + table + ` VALUES (?` + strings.Repeat(", ?", len(columns)-1) + `)`
	var out []row
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		out = append(out, row{insert, values})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("order %s has no rows in %s", id, table)
	}
	return out, rows.Err()
}

func (f *floor) write(ctx context.Context, rows []row) error {
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if _, err := tx.ExecContext(ctx, r.insert, r.values...); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}
