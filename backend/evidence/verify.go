package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/internal/ids"
)

// Verify reads a file to its end and checks all of it without a database: its form to the last byte, the signature, every member against the manifest, each record
// against its hash, each entry against its digest and zero, each posting group against its records, its entry and the one before it, and the report. The
// errors are [ErrForm], [ErrSignature], [ErrChanged], [ErrContent], and those of r.
//
// What the file says is the word of whoever has the key. What devices have signed is [VerifyDevices]'.
func Verify(r io.Reader, key ed25519.PublicKey) (Manifest, error) {
	return verify(r, key, nil)
}

// VerifyDevices does what [Verify] does, and verifies each envelope with the keys of its terminal. It needs some memory for each record.
func VerifyDevices(r io.Reader, key ed25519.PublicKey, devices Devices) (Manifest, Signed, error) {
	s := signatures{devices: devices, held: map[[sha256.Size]byte]bool{}}
	m, err := verify(r, key, &s)
	if err != nil {
		return Manifest{}, Signed{}, err
	}
	return m, s.seen, nil
}

func verify(r io.Reader, key ed25519.PublicKey, s *signatures) (Manifest, error) {
	v := verifier{signatures: s, groups: map[int64]*recordsOfGroup{}, entries: map[string]entryFacts{}}
	v.seen.Verdicts, v.seen.Members = map[string]int{}, []Member{}
	m, err := v.verify(r, key)
	if err != nil {
		return Manifest{}, fmt.Errorf("evidence: %w", err)
	}
	return m, nil
}

// verifier keeps what later members are held against: a little for each group and each entry.
type verifier struct {
	signatures *signatures // nil: nobody asks

	seen     Manifest // as the members say
	content  error    // the first thing that does not hold together
	order    int      // of the folder that is read
	part     int
	lastRow  recordPlace
	groups   map[int64]*recordsOfGroup
	entries  map[string]entryFacts
	parsed   []entryRow // digests wait for the day, which the manifest tells
	chain    []store.ChainedGroup
	reported map[string]string // members of the report, by name
}

type recordsOfGroup struct {
	digest store.GroupEvidence
	n      int
}

type entryFacts struct {
	digest string
	lines  int
}

type recordPlace struct {
	group    int64
	terminal string
	epoch    int64 // in the order of the store
	seq      uint64
}

func (p recordPlace) before(q recordPlace) bool {
	if p.group != q.group {
		return p.group < q.group
	}
	if p.terminal != q.terminal {
		return p.terminal < q.terminal
	}
	if p.epoch != q.epoch {
		return p.epoch < q.epoch
	}
	return p.seq < q.seq
}

// folders in the order in which they come.
var folders = []string{"batches", "records", "entries", "groups", "settlement"}

func (v *verifier) verify(r io.Reader, key ed25519.PublicKey) (Manifest, error) {
	var manifest []byte
	for {
		name, body, err := readMember(r)
		if err != nil {
			return Manifest{}, err
		}
		if name == nameManifest {
			manifest = body
			break
		}
		if name == "" {
			return Manifest{}, fmt.Errorf("%w: it has no manifest", ErrForm)
		}
		v.seen.Members = append(v.seen.Members, memberOf(name, body))
		if v.content == nil { // what is wrong may be a change, which the manifest tells
			v.content = v.member(name, body)
		}
	}
	name, signature, err := readMember(r)
	if err != nil {
		return Manifest{}, err
	}
	if name != nameSignature {
		return Manifest{}, fmt.Errorf("%w: %.120q where the signature should be", ErrForm, name)
	}
	if name, _, err = readMember(r); err != nil {
		return Manifest{}, err
	}
	if name != "" {
		return Manifest{}, fmt.Errorf("%w: %.120q after the signature", ErrForm, name)
	}
	m, err := openManifest(key, manifest, signature)
	if err != nil {
		return Manifest{}, err
	}
	if err := sameMembers(m.Members, v.seen.Members); err != nil {
		return Manifest{}, err
	}
	if v.content != nil {
		return Manifest{}, v.content
	}
	return m, v.together(m)
}

func sameMembers(said, seen []Member) error {
	for i := range min(len(said), len(seen)) {
		if said[i] != seen[i] {
			return fmt.Errorf("%w: %.120s is not the %.120s that was signed", ErrChanged, seen[i].Name, said[i].Name)
		}
	}
	if len(said) != len(seen) {
		return fmt.Errorf("%w: %d members, %d were signed", ErrChanged, len(seen), len(said))
	}
	return nil
}

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrContent}, args...)...)
}

// member checks one member as it comes.
func (v *verifier) member(name string, body []byte) error {
	folder, rest, _ := strings.Cut(name, "/")
	order := slices.Index(folders, folder)
	if order < v.order || rest == "" {
		return wrong("%.120q does not belong here", name)
	}
	if order > v.order {
		v.order, v.part = order, 0
	}
	if folder == "settlement" {
		if v.reported == nil {
			v.reported = map[string]string{}
		}
		v.reported[rest] = memberOf(name, body).SHA256
		return nil
	}
	if name != partName(folder, v.part) {
		return wrong("%.120q where %s should be", name, partName(folder, v.part))
	}
	v.part++
	for n := 1; len(body) > 0; n++ {
		line, after, ended := bytes.Cut(body, []byte("\n"))
		if !ended {
			return wrong("%s: its last line does not end", name)
		}
		body = after
		if err := v.row(folder, line); err != nil {
			return fmt.Errorf("%s, line %d: %w", name, n, err)
		}
	}
	return nil
}

func (v *verifier) row(folder string, line []byte) error {
	switch folder {
	case "batches":
		return readRow(line, func(b batchRow) error {
			v.seen.Batches++
			epoch, err := parseEpoch(b.Epoch)
			if err != nil {
				return wrong("%w", err)
			}
			if v.signatures == nil {
				return nil
			}
			return v.signatures.batch(b, epoch)
		})
	case "records":
		return readRow(line, v.record)
	case "entries":
		return readRow(line, v.entry)
	default:
		return readRow(line, v.group)
	}
}

// readRow reads a line that must be the very bytes that were written for it.
func readRow[T any](line []byte, take func(T) error) error {
	var row T
	if err := json.Unmarshal(line, &row); err != nil {
		return wrong("%w", err)
	}
	if again, err := json.Marshal(row); err != nil || !bytes.Equal(again, line) {
		return wrong("it is not in the one form")
	}
	return take(row)
}

func (v *verifier) record(r recordRow) error {
	v.seen.Records++
	v.seen.Verdicts[r.Verdict]++
	epoch, err := parseEpoch(r.Epoch)
	if err != nil {
		return wrong("%w", err)
	}
	if sum := sha256.Sum256(r.Record); !bytes.Equal(sum[:], r.SHA256) {
		return wrong("record %.40s/%s/%d has another hash", r.Terminal, r.Epoch, r.Seq)
	}
	at := recordPlace{r.Group, r.Terminal, int64(epoch), r.Seq}
	if v.seen.Records > 1 && !v.lastRow.before(at) {
		return wrong("record %.40s/%s/%d is out of order, or stands twice", r.Terminal, r.Epoch, r.Seq)
	}
	v.lastRow = at
	if v.signatures != nil {
		v.signatures.record(r, epoch)
	}
	if r.Group <= 0 {
		return nil
	}
	g := v.groups[r.Group]
	if g == nil {
		g = &recordsOfGroup{digest: store.NewGroupEvidence()}
		v.groups[r.Group] = g
	}
	g.n++
	g.digest.Add(ids.TerminalID(r.Terminal), epoch, r.Seq, r.SHA256)
	return nil
}

func (v *verifier) entry(r entryRow) error {
	v.seen.Entries++
	e := r.entry("2000-01-01") // its day is the manifest's
	if err := e.Check(); err != nil {
		return wrong("entry %.80q: %w", r.ID, err)
	}
	if _, twice := v.entries[r.ID]; twice {
		return wrong("entry %.80q stands twice", r.ID)
	}
	var err error
	if v.seen.Debits, err = addDebits(v.seen.Debits, e); err != nil {
		return wrong("entry %.80q: %w", r.ID, err)
	}
	v.entries[r.ID] = entryFacts{r.Digest, len(r.Lines)}
	v.parsed = append(v.parsed, r)
	return nil
}

func (v *verifier) group(r groupRow) error {
	v.seen.count(r.Number, r.Hash)
	g := store.ChainedGroup{Number: r.Number, Entry: r.Entry, Lines: r.Lines, Records: r.Records, Digest: r.Digest, Evidence: r.Evidence, Prev: r.Prev, Hash: r.Hash, AtMS: r.AtMS}
	if !g.Sound() {
		return wrong("posting group %d: its hash is another one", r.Number)
	}
	if n := len(v.chain); n > 0 {
		last := v.chain[n-1]
		if g.Number <= last.Number || g.Number == last.Number+1 && g.Prev != last.Hash {
			return wrong("posting group %d: the chain is broken", r.Number)
		}
	}
	v.chain = append(v.chain, g)
	return nil
}

// together holds the members against each other and against the manifest, whose signature is good.
func (v *verifier) together(m Manifest) error {
	for _, r := range v.parsed {
		if r.entry(m.Day).Digest() != r.Digest {
			return wrong("entry %.80q has another digest on %s", r.ID, m.Day)
		}
	}
	posted := 0
	for _, g := range v.chain {
		if err := v.groupTogether(g); err != nil {
			return err
		}
		if v.groups[g.Number] != nil {
			posted++
		}
	}
	if posted != len(v.groups) {
		return wrong("records of %d posting groups, of which %d are there", len(v.groups), posted)
	}
	v.seen.Format, v.seen.Day, v.seen.Closed, v.seen.Report = m.Format, m.Day, m.Closed, m.Report
	said, err1 := m.encode()
	seen, err2 := v.seen.encode()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if !bytes.Equal(said, seen) {
		return wrong("its figures are not those of the manifest: %d batches, %d records, %d entries with debits of %v, %d groups", v.seen.Batches, v.seen.Records, v.seen.Entries, v.seen.Debits, v.seen.Groups)
	}
	if !m.Closed {
		if m.Report != "" || len(v.reported) > 0 {
			return wrong("a report of a day that is open")
		}
		return nil
	}
	if m.Report == "" || v.reported[reportName(m.Day)] != m.Report {
		return wrong("%s is not the report of the manifest", reportName(m.Day))
	}
	return nil
}

func (v *verifier) groupTogether(g store.ChainedGroup) error {
	sum, n := store.NewGroupEvidence().Sum(), 0
	if r := v.groups[g.Number]; r != nil {
		sum, n = r.digest.Sum(), r.n
	}
	if sum != g.Evidence {
		return wrong("posting group %d: its %d records are not those it was chained with", g.Number, n)
	}
	e, there := v.entries[g.Entry]
	if there != (g.Lines > 0) || there && (e.digest != g.Digest || e.lines != g.Lines) {
		return wrong("posting group %d: its entry is another one", g.Number)
	}
	return nil
}

// reportName is the name of a day's report.
func reportName(day string) string { return "settlement-" + day + ".json" }
