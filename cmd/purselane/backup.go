package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/backup"
	"github.com/purselane/purselane/backend/store"
)

// BackupCmd are the commands that copy the database and put it back; docs/backup.md is their page.
type BackupCmd struct {
	Make    BackupMakeCmd    `cmd:"" help:"Copy the database to a new file while the backend serves, with a manifest beside it."`
	Check   BackupCheckCmd   `cmd:"" help:"Prove a backup: its bytes, that it restores, its books. Needs as much room again."`
	Restore BackupRestoreCmd `cmd:"" help:"Put a backup back where no database is, or of PostgreSQL an empty one. It is proved."`
}

// BackupMakeCmd is `purselane backup make`.
type BackupMakeCmd struct {
	schemeFolder
	Out string `required:"" placeholder:"FILE" type:"path" help:"The new file. Beside it comes FILE.json, the manifest."`
}

// Run makes the backup.
func (c *BackupMakeCmd) Run(ctx context.Context, k *kong.Kong) error {
	path, err := c.database(nil)
	if err != nil {
		return err
	}
	if !store.IsPostgres(path) {
		path = store.Name(path)
	}
	m, err := backup.Make(ctx, path, c.Out, now())
	if err != nil {
		return err
	}
	printBackup(k.Stdout, "made", m)
	fmt.Fprintln(k.Stdout, "keys and settings are not in it: keep the other files of the folder too")
	return nil
}

// BackupCheckCmd is `purselane backup check`.
type BackupCheckCmd struct {
	File   string `arg:"" type:"existingfile" help:"The backup; its manifest lies beside it."`
	Server string `env:"PURSELANE_CHECK_SERVER" placeholder:"ADDRESS" help:"Of a backup of a PostgreSQL database: a database on a server where another one is made, to restore it into, and dropped. Keep a password out of it, except in the environment."`
}

// envCheckServer names the server that backups are checked on, where its address has a password.
const envCheckServer = "PURSELANE_CHECK_SERVER"

// Run proves the backup.
func (c *BackupCheckCmd) Run(ctx context.Context, k *kong.Kong) error {
	m, err := backup.Check(ctx, c.File)
	if errors.Is(err, backup.ErrEngine) {
		switch {
		case c.Server == "":
			return fmt.Errorf("%w: to prove a backup of a PostgreSQL database, say with --server where it may be restored to", err)
		case !store.IsPostgres(c.Server):
			return errors.New("--server: want postgres://USER@HOST:PORT/DATABASE")
		case store.HasPassword(c.Server) && c.Server != os.Getenv(envCheckServer):
			return fmt.Errorf("--server: everybody on this machine can read the password in it: give the whole address in %s, or the password in ~/.pgpass", envCheckServer)
		}
		m, err = backup.CheckPostgres(ctx, c.File, c.Server)
	}
	if err != nil {
		return err
	}
	printBackup(k.Stdout, "sound", m)
	return nil
}

// BackupRestoreCmd is `purselane backup restore`.
type BackupRestoreCmd struct {
	schemeFolder
	File string `arg:"" type:"existingfile" help:"The backup; its manifest lies beside it."`
}

// Run puts the backup back.
func (c *BackupRestoreCmd) Run(ctx context.Context, k *kong.Kong) error {
	at, err := c.database(nil)
	if err != nil {
		return err
	}
	var m backup.Manifest
	if store.IsPostgres(at) {
		m, err = backup.RestorePostgres(ctx, c.File, at)
	} else {
		m, err = backup.Restore(ctx, c.File, store.Name(at))
	}
	if err != nil {
		return err
	}
	printBackup(k.Stdout, "restored", m)
	fmt.Fprintln(k.Stdout, "start the backend: each terminal says hello and sends again what is missing. Loads, cards and closed days since then are to be done again")
	return nil
}

func printBackup(w io.Writer, what string, m backup.Manifest) {
	fmt.Fprintf(w, "%s: %s of %s, %d bytes, schema %d, posting group %d (%.16s…), SHA-256 %s\n", what, m.File, m.MadeAt.Format("2006-01-02 15:04:05 UTC"),
		m.Bytes, m.Schema, m.LastGroup, m.LastGroupHash, m.SHA256)
}
