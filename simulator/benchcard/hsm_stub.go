//go:build !pkcs11

package main

import "time"

// measureHSM measures nothing: the program is built without PKCS#11.
func measureHSM(time.Duration) ([]result, error) { return nil, nil }
