//go:build !pkcs11

package main

// hsmLines are none without PKCS#11.
func hsmLines() ([]line, func() error, error) { return nil, func() error { return nil }, nil }
