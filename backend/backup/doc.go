// Package backup copies a backend's database while it is written to, proves such a copy, and puts it back. An SQLite database it copies itself; of a
// PostgreSQL one it has pg_dump and pg_restore do the copying.
//
// Start with [Make], which writes a copy and its [Manifest], then [Check] and [Restore]. A copy is one consistent moment. What terminals
// sent after it they send again, because the watermark of a restored database is older than their receipts. docs/backup.md is the page.
package backup
