// Package wire is what travels between terminal and backend: the schema of records, envelopes, hellos and receipts
// (wire.proto), and their signatures.
//
// Start with [SealEnvelope] and [OpenEnvelope]. A signature is verified before the bytes under it are read. The schema's version is 1;
// docs/uplink.md is the outside contract.
package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"
)

// Version of the messages.
//
//   - 1: 2026-11-24: first
const Version = 1

// Domain strings keep a signature over one kind of message from being one over another.
const (
	domainEnvelope = "purselane-envelope-1\x00"
	domainHello    = "purselane-hello-1\x00"
	domainReceipt  = "purselane-receipt-1\x00"
)

// Limits of an envelope. A payload is at most 64 KiB when built; what is opened may be larger, up to MaxPayload unpacked.
const (
	MaxPayload = 4 << 20
	MaxRecords = 10_000
)

// Errors of opening. Match with errors.Is.
var (
	// ErrSignature: the message is not signed by the key it must be signed by. It is dropped, never answered.
	ErrSignature = errors.New("signature does not verify")
	// ErrMalformed: the message is signed and cannot be read. It is quarantined, and the sender told.
	ErrMalformed = errors.New("malformed message")
	// ErrVersion: a version this program does not read.
	ErrVersion = errors.New("message version not supported")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

var marshal = proto.MarshalOptions{Deterministic: true}

func sign(key ed25519.PrivateKey, domain string, body []byte) []byte {
	return ed25519.Sign(key, append([]byte(domain), body...))
}

func verify(key ed25519.PublicKey, domain string, body, sig []byte) error {
	if len(key) != ed25519.PublicKeySize || len(sig) != ed25519.SignatureSize || !ed25519.Verify(key, append([]byte(domain), body...), sig) {
		return ErrSignature
	}
	return nil
}

// RecordHash is the SHA-256 by which a record is chained.
func RecordHash(stored []byte) [32]byte { return sha256.Sum256(stored) }

// Opened is an envelope whose signature, payload hash and counts are good. The records are as stored; they were not read.
type Opened struct {
	Header  *EnvelopeHeader
	Records [][]byte
}

// SealEnvelope packs records and signs the envelope. Header fields about the payload are filled in.
func SealEnvelope(key ed25519.PrivateKey, h *EnvelopeHeader, records [][]byte) ([]byte, error) {
	if len(records) == 0 || len(records) > MaxRecords {
		return nil, fmt.Errorf("envelope of %d records: want 1 to %d", len(records), MaxRecords)
	}
	plain, err := marshal.Marshal(&Batch{Records: records})
	if err != nil {
		return nil, fmt.Errorf("code batch: %w", err)
	}
	payload := encoder().EncodeAll(plain, nil)
	h = proto.Clone(h).(*EnvelopeHeader)
	h.Count, h.LastSeq = uint32(len(records)), h.FirstSeq+uint64(len(records))-1
	h.Compression = Compression_COMPRESSION_ZSTD
	last := RecordHash(records[len(records)-1])
	sum := sha256.Sum256(payload)
	h.ChainHash, h.PayloadSha256 = last[:], sum[:]
	body, err := marshal.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("code header: %w", err)
	}
	return marshal.Marshal(&Envelope{Version: Version, Signed: body, Signature: sign(key, domainEnvelope, body), Payload: payload})
}

// OpenEnvelope verifies and unpacks an envelope of the device with that key.
//
// With ErrMalformed the header is returned as far as it was read, so that the range can be quarantined.
func OpenEnvelope(key ed25519.PublicKey, raw []byte) (Opened, error) {
	var e Envelope
	if err := proto.Unmarshal(raw, &e); err != nil {
		return Opened{}, fmt.Errorf("%w: not an envelope", ErrSignature) // nothing in it is anybody's word
	}
	if e.GetVersion() != Version {
		return Opened{}, fmt.Errorf("envelope version %d: %w", e.GetVersion(), ErrVersion)
	}
	if err := verify(key, domainEnvelope, e.GetSigned(), e.GetSignature()); err != nil {
		return Opened{}, fmt.Errorf("envelope: %w", err)
	}
	h := &EnvelopeHeader{}
	if err := proto.Unmarshal(e.GetSigned(), h); err != nil {
		return Opened{}, malformed("header: %w", err)
	}
	o := Opened{Header: h}
	// The payload is outside the signature but under its hash: a wrong one is a forged or damaged message, not the device's.
	if sum := sha256.Sum256(e.GetPayload()); !bytes.Equal(sum[:], h.GetPayloadSha256()) {
		return o, fmt.Errorf("envelope payload: %w", ErrSignature)
	}
	plain, err := unpack(h.GetCompression(), e.GetPayload())
	if err != nil {
		return o, err
	}
	var b Batch
	if err := proto.Unmarshal(plain, &b); err != nil {
		return o, malformed("batch: %w", err)
	}
	n := len(b.GetRecords())
	switch {
	case n == 0 || n > MaxRecords || uint32(n) != h.GetCount():
		return o, malformed("%d records, the header says %d", n, h.GetCount())
	case h.GetFirstSeq() == 0 || h.GetLastSeq() != h.GetFirstSeq()+uint64(n)-1:
		return o, malformed("%d records cannot be numbers %d to %d", n, h.GetFirstSeq(), h.GetLastSeq())
	}
	if last := RecordHash(b.GetRecords()[n-1]); !bytes.Equal(last[:], h.GetChainHash()) {
		return o, malformed("the chain hash is not the last record's")
	}
	o.Records = b.GetRecords()
	return o, nil
}

func unpack(c Compression, payload []byte) ([]byte, error) {
	switch c {
	case Compression_COMPRESSION_NONE:
		if len(payload) > MaxPayload {
			return nil, malformed("payload of %d bytes: at most %d", len(payload), MaxPayload)
		}
		return payload, nil
	case Compression_COMPRESSION_ZSTD:
		plain, err := decoder().DecodeAll(payload, nil)
		if err != nil {
			return nil, malformed("payload: %w", err)
		}
		return plain, nil
	}
	return nil, malformed("compression %d", c)
}

var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // the options are fixed
	}
	return e
})

var decoder = sync.OnceValue(func() *zstd.Decoder {
	// The bound keeps a small message from unpacking into all of memory.
	d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxPayload), zstd.WithDecoderConcurrency(0))
	if err != nil {
		panic(err) // the options are fixed
	}
	return d
})

// SealHello signs a hello.
func SealHello(key ed25519.PrivateKey, h *Hello) ([]byte, error) {
	body, err := marshal.Marshal(h)
	if err != nil {
		return nil, err
	}
	return marshal.Marshal(&SignedHello{Version: Version, Signed: body, Signature: sign(key, domainHello, body)})
}

// OpenHello verifies and reads a hello.
func OpenHello(key ed25519.PublicKey, raw []byte) (*Hello, error) {
	var s SignedHello
	if err := proto.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("%w: not a hello", ErrSignature)
	}
	if s.GetVersion() != Version {
		return nil, fmt.Errorf("hello version %d: %w", s.GetVersion(), ErrVersion)
	}
	if err := verify(key, domainHello, s.GetSigned(), s.GetSignature()); err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	h := &Hello{}
	if err := proto.Unmarshal(s.GetSigned(), h); err != nil {
		return nil, malformed("hello: %w", err)
	}
	return h, nil
}

// SealReceipt signs a receipt.
func SealReceipt(key ed25519.PrivateKey, r *Receipt) ([]byte, error) {
	body, err := marshal.Marshal(r)
	if err != nil {
		return nil, err
	}
	return marshal.Marshal(&SignedReceipt{Version: Version, Signed: body, Signature: sign(key, domainReceipt, body)})
}

// OpenReceipt verifies and reads a receipt.
func OpenReceipt(key ed25519.PublicKey, raw []byte) (*Receipt, error) {
	var s SignedReceipt
	if err := proto.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("%w: not a receipt", ErrSignature)
	}
	if s.GetVersion() != Version {
		return nil, fmt.Errorf("receipt version %d: %w", s.GetVersion(), ErrVersion)
	}
	if err := verify(key, domainReceipt, s.GetSigned(), s.GetSignature()); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	r := &Receipt{}
	if err := proto.Unmarshal(s.GetSigned(), r); err != nil {
		return nil, malformed("receipt: %w", err)
	}
	return r, nil
}
