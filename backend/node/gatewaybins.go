package node

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"

	"github.com/purselane/purselane/backend/gateway/bin"
)

// binsMark begins the line that stands before a BIN table that is signed: mark and signature in base64, over all that follows the line.
const binsMark = "purselane-signed-1 "

func signingKey(text string) (ed25519.PublicKey, error) {
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, errors.New("want an Ed25519 public key, 64 hexadecimal digits")
	}
	return key, nil
}

// ReadBins reads the BIN table, which must be signed where there is a key.
func (c *GatewayCards) ReadBins(file []byte) (*bin.Table, error) {
	body := file
	if c.BinsKey != "" {
		key, err := signingKey(c.BinsKey)
		if err != nil {
			return nil, err
		}
		head, rest, _ := bytes.Cut(file, []byte("\n"))
		text, marked := bytes.CutPrefix(head, []byte(binsMark))
		signature, err := base64.StdEncoding.DecodeString(string(text))
		if !marked || err != nil || !ed25519.Verify(key, rest, signature) {
			return nil, errNoBins
		}
		body = rest
	}
	return bin.Parse(body)
}

// SignBins signs a BIN table.
func SignBins(key ed25519.PrivateKey, table []byte) []byte {
	return append([]byte(binsMark+base64.StdEncoding.EncodeToString(ed25519.Sign(key, table))+"\n"), table...)
}
