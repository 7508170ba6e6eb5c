// Package doors makes the doors of the card families beside the EP purse, [ec.Issuer] and [desfire.HSM], over the primitives of
// [keys.Families]: so one door serves a sealed file's keys and an HSM behind PKCS#11 alike. Start with [NewEC] and [NewDESFire].
package doors
