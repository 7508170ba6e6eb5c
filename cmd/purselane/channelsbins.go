package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/gateway/bin"
	"github.com/purselane/purselane/backend/node"
)

// ChannelsSignBinsCmd is `purselane channels sign-bins`.
type ChannelsSignBinsCmd struct {
	File string `arg:"" type:"existingfile" help:"The BIN table (docs/gateway-products.md)."`
	Key  string `required:"" type:"existingfile" placeholder:"FILE" help:"An Ed25519 private key in PEM, as openssl genpkey -algorithm ed25519 makes it; its owner's alone."`
	Out  string `required:"" type:"path" placeholder:"FILE" help:"The signed file. It takes the place of what is there."`
}

// Run signs a table that can be read.
func (c *ChannelsSignBinsCmd) Run(k *kong.Kong) error {
	table, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	if _, err := bin.Parse(table); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	key, err := readEd25519(c.Key)
	if err != nil {
		return err
	}
	if err := replaceFile(c.Out, node.SignBins(key, table), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(k.Stdout, "signed   %s: gateway.cards.bins_key is %s\n", c.Out, hex.EncodeToString(key.Public().(ed25519.PublicKey)))
	return err
}
