// Command benchcard measures verifications of cards' proofs on one core, through each door to the keys: software that derives each card's key
// anew, software that holds derived keys (-cached), and an HSM (-hsm: SoftHSM, when built with the tag pkcs11). The proofs are the TAC of an EP
// purse (card-software, card-cached, card-hsm, card-hsm-cached; card-sm4 with SM4 keys), the cryptogram of electronic cash (card-arqc…) and the transaction MAC of DESFire
// (card-aes…). Beside each it measures, in the same run, a bare loop
// of the same key schedules and block operations of the same library on the same cards and messages: what the door cannot do without.
//
// Start with [bench]. Own and floor are measured in turns, so that other work of the machine hits them alike. The last lines are for programs:
//
//	BENCH card-software ratio=1.050 own=8.123us floor=7.737us
//
// with the times of one verification. A purse has two levels of keys (issuer and serial), as T-Union has.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"
)

func main() {
	limit := flag.Duration("limit", 2*time.Second, "time to measure each door at most")
	most := flag.Float64("max", 1.5, "largest good ratio of card-software")
	flag.Parse()
	if err := bench(*limit, *most); err != nil {
		fmt.Fprintln(os.Stderr, "benchcard:", err)
		os.Exit(1)
	}
}

func bench(limit time.Duration, most float64) error {
	software, err := measureSoftware(limit)
	if err != nil {
		return err
	}
	cached, err := measureCached(limit)
	if err != nil {
		return err
	}
	withSM4, err := measureSM4(limit)
	if err != nil {
		return err
	}
	cryptograms, err := measureCryptograms(limit)
	if err != nil {
		return err
	}
	commits, err := measureCommits(limit)
	if err != nil {
		return err
	}
	hsm, err := measureHSM(limit)
	if err != nil {
		return err
	}
	all := slices.Concat([]result{software, cached, withSM4}, cryptograms, commits, hsm)
	for _, r := range all {
		fmt.Printf("%s: %.0f verifications a second and core; bare loop %.0f\n", r.name, perSecond(r.own), perSecond(r.floor))
	}
	if hsm == nil {
		fmt.Println("card-hsm: not measured, built without PKCS#11 (go run -tags pkcs11 ./simulator/benchcard, with Debian's softhsm2)")
	}
	for _, r := range all {
		fmt.Println(r)
	}
	if software.ratio() > most {
		return fmt.Errorf("software is %.2f times the bare loop: want at most %.2f", software.ratio(), most)
	}
	return nil
}
