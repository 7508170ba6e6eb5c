package node

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"

	"github.com/purselane/purselane/internal/ids"
)

// DevicePassword is a terminal's password at a broker without TLS: a keyed hash of its id, so that the backend has no list to
// keep. It guards a port on loopback; records and receipts are signed whatever it is worth.
func DevicePassword(tokenKey []byte, t ids.TerminalID) string {
	h := hmac.New(sha256.New, tokenKey)
	h.Write([]byte("purselane-device-password\x00" + string(t)))
	return hex.EncodeToString(h.Sum(nil)[:20])
}

func checkPassword(tokenKey []byte, t ids.TerminalID, password string) bool {
	return subtle.ConstantTimeCompare([]byte(DevicePassword(tokenKey, t)), []byte(password)) == 1
}
