package keys

import "crypto/aes"

// Kind is what a master key is a key of.
type Kind string

// Kinds. All have 16 bytes.
const (
	Kind3DES Kind = "3DES"
	KindSM4  Kind = "SM4"
	KindAES  Kind = "AES"
)

// KindOf returns the kind of a master key: DESFire's and data keys are AES keys, and of all others the algorithm byte says which. The second argument is
// that of [CipherOf].
func KindOf(id ID, sm4Algorithm byte) Kind {
	switch id.Purpose {
	case DESFireTMAC, DESFireApp, Data:
		return KindAES
	}
	if CipherOf(id.Algorithm, sm4Algorithm) == SM4 {
		return KindSM4
	}
	return Kind3DES
}

// CheckValue is the first 3 bytes of the encipherment of a block of zeros under the key: it names a key without giving it away. A device
// says the same of its 3DES and AES keys (CKA_CHECK_VALUE).
func (k Kind) CheckValue(key Key) [3]byte {
	var block [aes.BlockSize]byte
	switch k {
	case KindAES:
		b := newAES(key)
		b.Encrypt(block[:], block[:])
		wipeBlock(b)
	case KindSM4:
		newSM4(key).Encrypt(block[:], block[:])
	default:
		return CheckValue(key)
	}
	return [3]byte(block[:3])
}
