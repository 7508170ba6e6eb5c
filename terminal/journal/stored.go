package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/purselane/purselane/internal/ids"
	"github.com/purselane/purselane/uplink/wire"
)

// metaVersion is the version of the file's layout.
//
//   - 1: 2026-11-24: first
//   - 2: 2026-11-25: the same in a file that is sealed, because a newer one goes on. A program that knows layout 1 alone refuses it, instead
//     of going on with an old file
//   - 3: 2026-11-25: an active file whose new intents stand in places beside it, and up to which tap each place is done with. A program that
//     does not know it refuses the file, instead of debiting a card whose intent it does not see
const (
	metaVersion        = 1
	metaVersionSealed  = 2
	metaVersionSlotted = 3
)

// meta is the one small value every commit writes beside its own.
type meta struct {
	sealed   bool // a newer file goes on: this one is only read
	terminal ids.TerminalID
	epoch    uint64
	nextSeq  uint64
	nextTap  uint64
	firstSeq uint64 // oldest record still there
	acked    uint64 // through this number the backend has them
	lastHash [32]byte
	prunedTo [32]byte // hash of the record before firstSeq: where the chain now begins

	slotted bool              // new intents stand in places beside the tree; not of a sealed file
	settled [slotCount]uint64 // by place: up to this tap it is done with
}

func (m meta) bytes() []byte {
	out := []byte{metaVersion, byte(len(m.terminal))}
	switch {
	case m.sealed:
		out[0] = metaVersionSealed
	case m.slotted:
		out[0] = metaVersionSlotted
	}
	out = append(out, m.terminal...)
	for _, n := range []uint64{m.epoch, m.nextSeq, m.nextTap, m.firstSeq, m.acked} {
		out = binary.BigEndian.AppendUint64(out, n)
	}
	out = append(append(out, m.lastHash[:]...), m.prunedTo[:]...)
	if out[0] == metaVersionSlotted {
		for _, n := range m.settled {
			out = binary.BigEndian.AppendUint64(out, n)
		}
	}
	return binary.BigEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))
}

func parseMeta(raw []byte) (meta, error) {
	var m meta
	if len(raw) < 2 {
		return m, fmt.Errorf("meta value of %d bytes", len(raw))
	}
	if raw[0] < metaVersion || raw[0] > metaVersionSlotted {
		return m, fmt.Errorf("layout version %d: this program reads %d to %d", raw[0], metaVersion, metaVersionSlotted)
	}
	m.sealed, m.slotted = raw[0] == metaVersionSealed, raw[0] == metaVersionSlotted
	want := 2 + int(raw[1]) + 5*8 + 64 + 4
	if m.slotted {
		want += slotCount * 8
	}
	if len(raw) != want {
		return m, fmt.Errorf("meta value of %d bytes", len(raw))
	}
	body := raw[:len(raw)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(raw[len(raw)-4:]) {
		return m, errors.New("meta value: CRC is wrong")
	}
	at := 2 + int(raw[1])
	m.terminal = ids.TerminalID(raw[2:at])
	for _, n := range []*uint64{&m.epoch, &m.nextSeq, &m.nextTap, &m.firstSeq, &m.acked} {
		*n = binary.BigEndian.Uint64(raw[at:])
		at += 8
	}
	copy(m.lastHash[:], raw[at:])
	copy(m.prunedTo[:], raw[at+32:])
	if at += 64; m.slotted {
		for i := range m.settled {
			m.settled[i] = binary.BigEndian.Uint64(raw[at:])
			at += 8
		}
	}
	if m.nextTap == 0 || m.firstSeq == 0 || m.firstSeq > m.nextSeq || m.acked >= m.nextSeq {
		return m, fmt.Errorf("meta value: records %d to %d, receipts through %d", m.firstSeq, m.nextSeq, m.acked)
	}
	return m, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal puts a CRC-32C before a stored value: bbolt checks its pages' form, not their content.
func seal(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, len(body)+4), crc32.Checksum(body, castagnoli)), body...)
}

// unseal checks the CRC and returns a copy of the body, which outlives the transaction.
func unseal(raw []byte) ([]byte, error) {
	if len(raw) < 4 {
		return nil, fmt.Errorf("stored value of %d bytes", len(raw))
	}
	if crc32.Checksum(raw[4:], castagnoli) != binary.BigEndian.Uint32(raw) {
		return nil, errors.New("stored value: CRC is wrong")
	}
	return append([]byte(nil), raw[4:]...), nil
}

// ParseStored reads a stored record value: CRC and record.
func ParseStored(raw []byte) (*wire.Record, error) {
	body, err := unseal(raw)
	if err != nil {
		return nil, err
	}
	var r wire.Record
	if err := proto.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("stored record: %w", err)
	}
	return &r, nil
}

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func readRecord(tx *bolt.Tx, seq uint64) ([]byte, error) {
	raw := tx.Bucket(bucketRecords).Get(key(seq))
	if raw == nil {
		return nil, fmt.Errorf("record %d is missing", seq)
	}
	body, err := unseal(raw)
	if err != nil {
		return nil, fmt.Errorf("record %d: %w", seq, err)
	}
	return body, nil
}

// appendRecord gives r its place in the chain and writes it.
func appendRecord(tx *bolt.Tx, m *meta, r *wire.Record) error {
	r.Version, r.Terminal, r.Epoch, r.Seq = 1, string(m.terminal), m.epoch, m.nextSeq
	r.PrevHash = append([]byte(nil), m.lastHash[:]...)
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
	if err != nil {
		return fmt.Errorf("journal: code record: %w", err)
	}
	b := tx.Bucket(bucketRecords)
	b.FillPercent = 0.95 // keys only grow: pages may be left nearly full
	if err := b.Put(key(m.nextSeq), seal(body)); err != nil {
		return fmt.Errorf("journal: write record: %w", err)
	}
	m.lastHash = sha256.Sum256(body)
	m.nextSeq++
	return nil
}

type intent struct {
	phase phase
	draft *wire.Record
}

func (i intent) bytes() ([]byte, error) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(i.draft)
	if err != nil {
		return nil, fmt.Errorf("journal: code intent: %w", err)
	}
	return seal(append([]byte{byte(i.phase)}, body...)), nil
}

func parseIntent(raw []byte) (intent, error) {
	body, err := unseal(raw)
	if err != nil {
		return intent{}, err
	}
	if len(body) == 0 || body[0] != byte(phaseIntent) && body[0] != byte(phaseUnknown) {
		return intent{}, errors.New("stored intent: unknown phase")
	}
	i := intent{phase: phase(body[0]), draft: &wire.Record{}}
	if err := proto.Unmarshal(body[1:], i.draft); err != nil {
		return intent{}, fmt.Errorf("stored intent: %w", err)
	}
	return i, nil
}
