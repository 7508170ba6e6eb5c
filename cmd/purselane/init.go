package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/purselane/purselane/backend/api"
	"github.com/purselane/purselane/backend/node"
	"github.com/purselane/purselane/card/keys"
	firmwareconfig "github.com/purselane/purselane/firmware-config"
	"github.com/purselane/purselane/simulator/city"
)

// InitCmd is `purselane init`.
type InitCmd struct {
	Dir   string `required:"" placeholder:"FOLDER" type:"path" help:"Folder to make: keys, a sample scheme, its profile, and access tokens."`
	Store string `placeholder:"ADDRESS" help:"The database, for scheme.yaml: postgres://USER@HOST/NAME without a password, or sqlite:FILE. Default: a file in the folder."`
}

// Run makes a scheme's folder. A folder with anything in it is refused.
func (c *InitCmd) Run(k *kong.Kong) error {
	if have, err := os.ReadDir(c.Dir); err == nil && len(have) > 0 {
		return fmt.Errorf("--dir %s: the folder is not empty", c.Dir)
	}
	scheme := city.SchemeYAML()
	if c.Store != "" {
		scheme = fmt.Appendf(scheme, "\n# The database: docs/store.md.\nstore: %q\n", c.Store)
		if _, err := node.ParseScheme(scheme); err != nil {
			return fmt.Errorf("--store: %w", err)
		}
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	f := schemeFolder{Dir: c.Dir}
	identity, err := keys.CreateIdentityFile(f.path(fileIdentity))
	if err != nil {
		return err
	}
	ring, err := keys.NewRing(rand.Reader)
	if err != nil {
		return err
	}
	if err := keys.CreateFile(f.path(fileKeys), ring, identity.Recipient()); err != nil {
		return err
	}
	signer, err := ring.SigningKey(keys.SecretProfile)
	if err != nil {
		return err
	}
	operator, operatorHash := api.NewToken(rand.Reader)
	agent, agentHash := api.NewToken(rand.Reader)
	var tokens bytes.Buffer
	fmt.Fprintf(&tokens, "# Who may call the API. The tokens themselves are in operator.token and agent.token: hand them out and delete them here.\nversion: 1\ntokens:\n")
	fmt.Fprintf(&tokens, "  - {name: operator, role: operator, sha256: %s}\n", operatorHash)
	fmt.Fprintf(&tokens, "  - {name: kiosk, role: agent, acquirer: metro-company, sha256: %s}\n", agentHash)
	profile := firmwareconfig.SampleYAML()
	err = errors.Join(
		writeNew(f.path(fileScheme), scheme, 0o644),
		writeNew(f.path(fileProfile), profile, 0o644),
		writeNew(f.path(fileSigned), firmwareconfig.Sign(signer, profile), 0o644),
		writeNew(f.path(fileTokens), tokens.Bytes(), 0o600),
		writeNew(f.path("operator.token"), []byte(operator+"\n"), 0o600),
		writeNew(f.path("agent.token"), []byte(agent+"\n"), 0o600),
	)
	if err != nil {
		return err
	}
	fmt.Fprintf(k.Stdout, `%s

made a scheme in %s
  scheme.yaml      parties, fees, addresses: yours to change
  profile.yaml     fares and limits of the terminals; profile.signed is what they take
  keys.sealed      every key of the scheme; keys.identity opens it and should lie elsewhere
  tokens.yaml      who may call the API; operator.token and agent.token are the tokens

next: purselane serve --dir %s
`, developmentOnly, c.Dir, c.Dir)
	return nil
}
