// Command benchverify measures how much faster the backend verifies the TACs of many records at once (keys.VerifyTACs) than a bare loop that does the same work
// on the same cards and messages card by card, on one core. The purses have two levels of keys, issuer and serial, and no two taps one card.
//
// Start with [bench]. Own and floor take many short turns, so that other work of the machine hits them alike, and each line is the middle of several
// readings. The last lines are for programs; ratio is how many times the floor's speed:
//
//	BENCH verify-bitsliced ratio=31.2 own=0.210us floor=6.552us
//
// with the times of one verification. verify-bitsliced is 3DES in 64 lanes against crypto/des with both levels derived for each tap, and
// verify-bitsliced-held against the same with the issuer's level derived once for all. verify-sm4 is the path of SM4 keys, which has no lanes, against gmsm.
// verify-hsm, when built with the tag pkcs11, is an HSM's batch against its single calls (SoftHSM).
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	limit := flag.Duration("limit", 3*time.Second, "time to measure each line at most")
	least := flag.Float64("min", 8, "smallest good ratio of verify-bitsliced")
	flag.Parse()
	if err := bench(*limit, *least); err != nil {
		fmt.Fprintln(os.Stderr, "benchverify:", err)
		os.Exit(1)
	}
}

func bench(limit time.Duration, least float64) error {
	device, end, err := hsmLines()
	if err != nil {
		return err
	}
	defer end() // the folder of a token of its own
	var all []result
	for _, l := range append(lines(), device...) {
		r, err := l.measure(limit)
		if err != nil {
			return err
		}
		fmt.Println(r.says())
		all = append(all, r)
	}
	if device == nil {
		fmt.Println("verify-hsm: not measured, built without PKCS#11 (go run -tags pkcs11 ./simulator/benchverify, with Debian's softhsm2)")
	}
	for _, r := range all {
		fmt.Println(r)
	}
	if got := all[0].ratio(); got < least {
		return fmt.Errorf("%s is %.2f times the bare loop's speed: want at least %.2f", all[0].name, got, least)
	}
	return nil
}
