package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Limits of an envelope. A terminal builds batches of at most 64 KiB; what is opened may be larger, up to MaxPayload
// unpacked, so that a small message cannot unpack into all of memory.
const (
	MaxPayload = 4 << 20
	MaxRecords = 10_000
)

// Opened is an envelope whose signature, payload hash and counts are good. The records are as stored; they were not read.
type Opened struct {
	Header  *EnvelopeHeader
	Records [][]byte
}

// SealEnvelope packs records and signs the envelope with the device's key. The caller fills the header's terminal, epoch,
// batch, first_seq, sent_at_ms and profile_version; the rest is filled in here. h itself is not changed.
func SealEnvelope(key ed25519.PrivateKey, h *EnvelopeHeader, records [][]byte) ([]byte, error) {
	return seal(key, h, records, Compression_COMPRESSION_ZSTD)
}

// SealEnvelopePlain is [SealEnvelope] without compression: for a device that has no zstd, and for reading the wire while
// looking for a fault.
func SealEnvelopePlain(key ed25519.PrivateKey, h *EnvelopeHeader, records [][]byte) ([]byte, error) {
	return seal(key, h, records, Compression_COMPRESSION_NONE)
}

func seal(key ed25519.PrivateKey, h *EnvelopeHeader, records [][]byte, c Compression) ([]byte, error) {
	n := uint64(len(records))
	if n == 0 || n > MaxRecords {
		return nil, fmt.Errorf("envelope of %d records: want 1 to %d", n, MaxRecords)
	}
	if h.GetFirstSeq() == 0 || h.GetFirstSeq()+n-1 < h.GetFirstSeq() {
		return nil, fmt.Errorf("envelope of %d records from number %d: numbers begin at 1", n, h.GetFirstSeq())
	}
	plain, err := marshal.Marshal(&Batch{Records: records})
	if err != nil {
		return nil, fmt.Errorf("code batch: %w", err)
	}
	if len(plain) > MaxPayload {
		return nil, fmt.Errorf("batch of %d bytes: at most %d", len(plain), MaxPayload)
	}
	payload := pack(c, plain)
	h = proto.Clone(h).(*EnvelopeHeader)
	h.Count, h.LastSeq, h.Compression = uint32(n), h.GetFirstSeq()+n-1, c
	last, sum := RecordHash(records[n-1]), sha256.Sum256(payload)
	h.ChainHash, h.PayloadSha256 = last[:], sum[:]
	body, err := marshal.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("code header: %w", err)
	}
	sig, err := sign(key, domainEnvelope, body)
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	return marshal.Marshal(&Envelope{Version: Version, Signed: body, Signature: sig, Payload: payload})
}

// OpenEnvelope verifies and unpacks an envelope of the device with that key.
//
// With ErrMalformed the header is returned if it could be read, so that its range can be quarantined.
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
	if err := checkCounts(h, b.GetRecords()); err != nil {
		return o, err
	}
	o.Records = b.GetRecords()
	return o, nil
}

// checkCounts holds the header's numbers against the records that came.
func checkCounts(h *EnvelopeHeader, records [][]byte) error {
	n := uint64(len(records))
	first, last := h.GetFirstSeq(), h.GetLastSeq()
	switch {
	case n == 0 || n > MaxRecords || n != uint64(h.GetCount()):
		return malformed("%d records, the header says %d", n, h.GetCount())
	case first == 0 || last < first || last-first != n-1: // a subtraction, because first + n may wrap round
		return malformed("%d records cannot be numbers %d to %d", n, first, last)
	}
	if hash := RecordHash(records[n-1]); !bytes.Equal(hash[:], h.GetChainHash()) {
		return malformed("the chain hash is not the last record's")
	}
	return nil
}
