package keys

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Device is an HSM behind PKCS#11 (version 2.40). Master keys stay in it, and so do the cards' load and purchase keys and their session keys;
// the TAC key of one card at a time comes out, for a batch those of 64, because PKCS#11 cannot fold it inside (docs/keys.md). No key of the other families does. It is safe for concurrent use. When the
// token is lost, the next call looks for it, logs in and goes on; a call into the device cannot be interrupted by its context, only the waiting
// for one.
type Device interface {
	HSM
	BatchTAC
	Families
	// Masters returns the master keys that were found, with the device's own check values.
	Masters(context.Context) (map[ID][3]byte, error)
	// Put stores master keys in the device so that they cannot leave it again: all of them or none. ErrKeyExists when one is there.
	Put(context.Context, map[ID]Key) error
	// Draw makes a data key inside the device: nobody ever sees it. ErrKeyExists when one of that name is there.
	Draw(context.Context, ID) error
	// Seal enciphers data under a data key and binds it to a label, which Unseal wants again.
	Seal(ctx context.Context, id ID, label string, data []byte) ([]byte, error)
	// Unseal undoes Seal. ErrSealed says that the data is not what Seal made of that key and label.
	Unseal(ctx context.Context, id ID, label string, sealed []byte) ([]byte, error)
	// Destroy ends a master key for good. Who calls it has seen to it that no card needs the key.
	Destroy(context.Context, ID) error
	// Close logs out and forgets the derived keys.
	Close() error
}

// DeviceOptions say which token, and how it is used.
type DeviceOptions struct {
	Module string // path of the maker's PKCS#11 library
	Token  string // label of the token
	PIN    Secret // of its user
	// Prefix begins the label of each of this scheme's keys; default "purselane/". The label goes on as the key's ID: load/01/00.
	Prefix string
	// Sessions is how many calls the device does at a time; default 4.
	Sessions int
	// Cache is for derived keys of cards: handles of load and purchase keys in the device, TAC keys in memory.
	Cache CachePolicy
	// SM4 is the algorithm byte of SM4 keys; 0: AlgorithmSM4. This door holds none: ErrSM4.
	SM4 byte
	// Retired are the versions that do nothing new: the ring beside the device says which ([Ring.RetiredIDs]).
	Retired []ID
	// RetryEvery is the least time between two searches for a lost token; default 1 s.
	RetryEvery time.Duration
}

// Errors of a Device, each with what to do about it.
var (
	// ErrNotBuilt: the program has no PKCS#11.
	ErrNotBuilt = errors.New("built without PKCS#11: build with -tags pkcs11 (needs gcc)")
	// ErrModule: the maker's library does not load, or is in use.
	ErrModule = errors.New("the PKCS#11 library cannot be used: check its path and that nothing else in this program has it open")
	// ErrTokenMissing: no slot has a token of that label. It is looked for again at later calls.
	ErrTokenMissing = errors.New("the HSM's token is missing: plug it in, or check the token's label")
	// ErrPINWrong is final: tokens lock themselves after a few wrong PINs, so it is not tried again.
	ErrPINWrong = errors.New("the HSM refuses the PIN: correct it and start again; it is not tried a second time, because tokens lock themselves")
	// ErrPINLocked: the token refuses every PIN.
	ErrPINLocked = errors.New("the HSM's PIN is locked: its security officer must set a new one")
	// ErrKeyExtractable: a master key could leave the device.
	ErrKeyExtractable = errors.New("a master key in the HSM could leave it: want CKA_SENSITIVE true and CKA_EXTRACTABLE false; make the key anew")
	// ErrKeyLoose: a master key may do, or may be made to do, more than its purpose.
	ErrKeyLoose = errors.New("a master key in the HSM may do more than its purpose; make the key anew")
	// ErrKeyUnfit: a master key cannot do its work.
	ErrKeyUnfit = errors.New("a master key in the HSM cannot do its work; make the key anew")
	// ErrKeyGone: a master key that was in the token is not there any more, or is another. It is not ErrUnknownKey: what it would have
	// proved is not proved wrong. It holds until the key is back or the program starts again.
	ErrKeyGone = errors.New("a master key that was in the HSM is gone or another: put the right token back, or start again if it was taken out on purpose")
	// ErrKeyExists: there is a key of that name; it is never written over.
	ErrKeyExists = errors.New("the HSM has a key of that name; it was not touched")
	// ErrMechanism: the device lacks what 3DES cards need.
	ErrMechanism = errors.New("the HSM lacks a mechanism: want CKM_DES3_ECB, CKM_DES3_CBC and CKM_DES3_ECB_ENCRYPT_DATA switched on")
	// ErrMechanismAES: the device lacks what AES keys need.
	ErrMechanismAES = errors.New("the HSM lacks a mechanism for AES keys: want CKM_AES_ECB, CKM_AES_CBC, CKM_AES_GCM, CKM_AES_CMAC and CKM_AES_ECB_ENCRYPT_DATA switched on")
	// ErrSealed: what was to be unsealed was sealed by another key, for another purpose, or is damaged.
	ErrSealed = errors.New("the sealed data is damaged, or the data key in the HSM is not the one it was sealed with")
	// ErrSM4: PKCS#11 has no SM4 up to 3.1; makers who have it use mechanism numbers of their own.
	ErrSM4 = errors.New("the HSM's door has no SM4, because PKCS#11 has none and each maker's own differs: keep SM4 keys in a key file, or have the cards issued with 3DES keys")
)

func (o DeviceOptions) withDefaults() DeviceOptions {
	if o.Prefix == "" {
		o.Prefix = "purselane/"
	}
	if o.Sessions == 0 {
		o.Sessions = 4
	}
	if o.RetryEvery == 0 {
		o.RetryEvery = time.Second
	}
	return o
}

// Check refuses options that cannot work.
func (o DeviceOptions) Check() error {
	switch {
	case o.Module == "" || o.Token == "":
		return errors.New("keys: HSM: want the path of its PKCS#11 library and the label of its token")
	case len(o.PIN) == 0:
		return errors.New("keys: HSM: want the PIN of the token's user")
	case o.Sessions < 0 || o.RetryEvery < 0:
		return errors.New("keys: HSM: sessions and the time between retries want to be 0 or more")
	}
	return o.Cache.Check()
}

// label names a master key in a device.
func (o DeviceOptions) label(id ID) string { return o.Prefix + id.String() }

// parseLabel reads a label; false for one that names no key of ours.
func (o DeviceOptions) parseLabel(label string) (ID, bool) {
	rest, ok := strings.CutPrefix(label, o.Prefix)
	word := strings.Split(rest, "/")
	if !ok || len(word) != 3 {
		return ID{}, false
	}
	version, err1 := strconv.ParseUint(word[1], 16, 8)
	algorithm, err2 := strconv.ParseUint(word[2], 16, 8)
	id := ID{Purpose: Purpose(word[0]), Version: byte(version), Algorithm: byte(algorithm)}
	// One form only: a second label for one key would make it a matter of luck which is found.
	if err1 != nil || err2 != nil || checkWord(word[0]) != nil || o.label(id) != label {
		return ID{}, false
	}
	return id, true
}
