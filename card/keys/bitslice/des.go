package bitslice

// half is a half of a block in each lane.
type half [32]uint64

// Encrypt enciphers each lane's block under its key.
func (b *Block) Encrypt(key *Block) {
	left, right := b.open()
	encrypt(&left, &right, key)
	b.close(&right, &left)
}

// Decrypt deciphers each lane's block under its key.
func (b *Block) Decrypt(key *Block) {
	left, right := b.open()
	decrypt(&left, &right, key)
	b.close(&right, &left)
}

// encrypt is the sixteen rounds without the permutations around them. The halves stand as the last round left them: the cipher's output is right
// and then left.
func encrypt(left, right *half, key *Block) {
	for i := 0; i < 16; i += 2 {
		round(left, right, key, &keyBits[i])
		round(right, left, key, &keyBits[i+1])
	}
}

func decrypt(left, right *half, key *Block) {
	for i := 14; i >= 0; i -= 2 {
		round(left, right, key, &keyBits[i+1])
		round(right, left, key, &keyBits[i])
	}
}

// open is the initial permutation.
func (b *Block) open() (left, right half) {
	for i := range left {
		left[i], right[i] = b[initial[i]&63], b[initial[32+i]&63]
	}
	return left, right
}

// close is its inverse.
func (b *Block) close(left, right *half) {
	for i := range left {
		b[initial[i]&63], b[initial[32+i]&63] = left[i], right[i]
	}
}

// Key is a double-length 3DES key of each lane.
type Key struct{ Left, Right Block }

// Encrypt3 enciphers each lane's block under its double-length key: E(left) D(right) E(left).
func (b *Block) Encrypt3(k *Key) {
	left, right := b.open()
	encrypt(&left, &right, &k.Left)
	decrypt(&right, &left, &k.Right)
	encrypt(&left, &right, &k.Left)
	b.close(&right, &left)
}

// Decrypt3 undoes Encrypt3.
func (b *Block) Decrypt3(k *Key) {
	left, right := b.open()
	decrypt(&left, &right, &k.Left)
	encrypt(&right, &left, &k.Right)
	decrypt(&left, &right, &k.Left)
	b.close(&right, &left)
}

// SetKeys takes the keys of all lanes.
func (k *Key) SetKeys(lanes *[Lanes][16]byte) {
	var half [Lanes][8]byte
	for j := range lanes {
		half[j] = [8]byte(lanes[j][:8])
	}
	k.Left.Set(&half)
	for j := range lanes {
		half[j] = [8]byte(lanes[j][8:])
	}
	k.Right.Set(&half)
	clear(half[:])
}

// Keys gives the keys of all lanes back.
func (k *Key) Keys() (lanes [Lanes][16]byte) {
	left, right := k.Left.Get(), k.Right.Get()
	for j := range lanes {
		copy(lanes[j][copy(lanes[j][:], left[j][:]):], right[j][:])
	}
	clear(left[:])
	clear(right[:])
	return lanes
}

// SameKey is one key in every lane.
func SameKey(key [16]byte) Key { return Key{Same([8]byte(key[:8])), Same([8]byte(key[8:]))} }

// Diversify makes each lane's key the one that it derives by its factor x: 3DES(K,x) || 3DES(K,~x) (purse facts 6.2). Do it once for each level, the issuer's
// first.
func (k *Key) Diversify(x *Block) {
	next := Key{Left: *x}
	for i := range x {
		next.Right[i] = ^x[i]
	}
	next.Left.Encrypt3(k)
	next.Right.Encrypt3(k)
	*k = next
}

// Fold makes each lane's single-length TAC key: its left half XOR its right half (purse facts 6.5).
func (k *Key) Fold() Block {
	folded := k.Left
	folded.Xor(&k.Right)
	return folded
}
