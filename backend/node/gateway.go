package node

import (
	"crypto/hmac"
	"crypto/sha256"
)

// GatewayKey is the key that secrets of the gateway are sealed with: apps' keys and webhooks' secrets. Like [BooksKey] it is made from the scheme's token key.
func GatewayKey(tokenKey []byte) []byte {
	h := hmac.New(sha256.New, tokenKey)
	h.Write([]byte("purselane-gateway-key-1"))
	return h.Sum(nil)
}

// VaultKey is the key that bank cards are sealed with.
func VaultKey(tokenKey []byte) []byte {
	h := hmac.New(sha256.New, tokenKey)
	h.Write([]byte("purselane-vault-key-1"))
	return h.Sum(nil)
}
