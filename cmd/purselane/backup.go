package main

import (
	"context"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/backup"
)

// BackupCmd are the commands that copy the database and put it back; docs/backup.md is their page.
type BackupCmd struct {
	Make    BackupMakeCmd    `cmd:"" help:"Copy the database to a new file while the backend serves, with a manifest beside it."`
	Check   BackupCheckCmd   `cmd:"" help:"Prove a backup: its bytes, its pages, its books. Needs as much room beside it again."`
	Restore BackupRestoreCmd `cmd:"" help:"Put a backup back where no database is. It is proved first."`
}

// BackupMakeCmd is `purselane backup make`.
type BackupMakeCmd struct {
	schemeFolder
	Out string `required:"" placeholder:"FILE" type:"path" help:"The new file. Beside it comes FILE.json, the manifest."`
}

// Run makes the backup.
func (c *BackupMakeCmd) Run(ctx context.Context, k *kong.Kong) error {
	path, err := c.databaseFile()
	if err != nil {
		return err
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
	File string `arg:"" type:"existingfile" help:"The backup; its manifest lies beside it."`
}

// Run proves the backup.
func (c *BackupCheckCmd) Run(ctx context.Context, k *kong.Kong) error {
	m, err := backup.Check(ctx, c.File)
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
	path, err := c.databaseFile()
	if err != nil {
		return err
	}
	m, err := backup.Restore(ctx, c.File, path)
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
