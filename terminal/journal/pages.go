package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// This file checks the form of a bbolt file (its version 2), page by page, before bbolt maps it: on a damaged file bbolt may
// follow a wild reference, recurse for ever or panic in a goroutine of its own, and each of these ends the program. Numbers are in
// the byte order of the machine that wrote them.
//
//	page     id 8, type 2, count 2, pages that follow and belong to it 4, elements
//	meta     magic 4, version 4, page size 4, flags 4, root page 8, sequence 8, freelist page 8, pages in use 8, transaction 8, FNV-1a 8
//	branch   element: position from its own start 4, key size 4, page 8
//	leaf     element: flags 4, position from its own start 4, key size 4, value size 4
//	bucket   value of a leaf element with flag 1: root page 8, sequence 8; with root page 0 a page of its own follows
//	freelist page numbers 8 each; if the count is FFFF the first is the true count
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2
	headerSize  = 16
	elementSize = 16
	metaSize    = 64
	bucketSize  = 16

	typeBranch   = 0x01
	typeLeaf     = 0x02
	typeFreelist = 0x10
	flagBucket   = 0x01
)

var order = binary.NativeEndian

// boltMeta is what the check needs of a meta page.
type boltMeta struct {
	pageSize, root, freelist, pages, txid uint64
}

func parseBoltMeta(raw []byte) (boltMeta, error) {
	var m boltMeta
	if len(raw) < metaSize {
		return m, fmt.Errorf("meta page of %d bytes", len(raw))
	}
	sum := fnv.New64a()
	sum.Write(raw[:metaSize-8]) //nolint:errcheck // a hash does not fail
	switch {
	case order.Uint32(raw) != boltMagic, order.Uint32(raw[4:]) != boltVersion:
		return m, errors.New("meta page: not a bbolt file")
	case order.Uint64(raw[metaSize-8:]) != sum.Sum64():
		return m, errors.New("meta page: checksum is wrong")
	}
	return boltMeta{pageSize: uint64(order.Uint32(raw[8:])), root: order.Uint64(raw[16:]), freelist: order.Uint64(raw[32:]),
		pages: order.Uint64(raw[40:]), txid: order.Uint64(raw[48:])}, nil
}

// checkPages reports the first fault in the form of a bbolt file of size bytes. Both meta pages must be good: bbolt would
// go back a commit if the newer were not, and that commit has been reported as done.
func checkPages(f io.ReaderAt, size int64) error {
	m, err := newestMeta(f, size)
	if err != nil {
		return err
	}
	if m.pages < 4 || m.pages > uint64(size)/m.pageSize {
		return fmt.Errorf("%d pages of %d bytes in use, but the file has %d bytes", m.pages, m.pageSize, size)
	}
	c := checker{f: f, boltMeta: m, used: make([]bool, m.pages)}
	c.used[0], c.used[1] = true, true
	if err := c.free(); err != nil {
		return err
	}
	if err := c.tree(m.root, true, nil, nil); err != nil {
		return err
	}
	for id, used := range c.used {
		if !used {
			return fmt.Errorf("page %d: neither used nor free", id)
		}
	}
	return nil
}

func newestMeta(f io.ReaderAt, size int64) (boltMeta, error) {
	raw := make([]byte, metaSize)
	read := func(page, pageSize int64) (boltMeta, error) {
		if _, err := f.ReadAt(raw, page*pageSize+headerSize); err != nil {
			return boltMeta{}, fmt.Errorf("meta page %d of a file of %d bytes: %w", page, size, err)
		}
		m, err := parseBoltMeta(raw)
		if err != nil {
			return m, fmt.Errorf("page %d: %w", page, err)
		}
		return m, nil
	}
	first, err := read(0, 0)
	if err != nil {
		return first, err
	}
	if first.pageSize < 1<<9 || first.pageSize > 1<<24 || first.pageSize&(first.pageSize-1) != 0 {
		return first, fmt.Errorf("pages of %d bytes", first.pageSize)
	}
	second, err := read(1, int64(first.pageSize))
	if err != nil {
		return second, err
	}
	if first.pageSize != second.pageSize || first.txid == second.txid {
		return first, errors.New("the two meta pages contradict each other")
	}
	if first.txid > second.txid {
		return first, nil
	}
	return second, nil
}

// checker walks one state of the file.
type checker struct {
	boltMeta
	f    io.ReaderAt
	used []bool // by page: in use, or free
}

// claim marks pages as seen: a page that is seen twice is a loop, or a page in use that is also free.
func (c *checker) claim(id, n uint64) error {
	if id < 2 || id >= c.pages || n > c.pages-id {
		return fmt.Errorf("page %d, and %d more: the file has %d pages", id, n-1, c.pages)
	}
	for i := id; i < id+n; i++ {
		if c.used[i] {
			return fmt.Errorf("page %d has two uses", i)
		}
		c.used[i] = true
	}
	return nil
}

// page reads a page with all that follows and belongs to it.
func (c *checker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= c.pages {
		return nil, fmt.Errorf("page %d: the file has %d pages", id, c.pages)
	}
	head := make([]byte, headerSize)
	if _, err := c.f.ReadAt(head, int64(id*c.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	if have := order.Uint64(head); have != id {
		return nil, fmt.Errorf("page %d says it is page %d", id, have)
	}
	n := uint64(order.Uint32(head[12:])) + 1
	if err := c.claim(id, n); err != nil {
		return nil, err
	}
	raw := make([]byte, n*c.pageSize)
	if _, err := c.f.ReadAt(raw, int64(id*c.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return raw, nil
}

func kindOf(raw []byte) (kind uint16, count int) {
	return order.Uint16(raw[8:]), int(order.Uint16(raw[10:]))
}

func (c *checker) free() error {
	raw, err := c.page(c.freelist)
	if err != nil {
		return fmt.Errorf("freelist: %w", err)
	}
	kind, count := kindOf(raw)
	if kind != typeFreelist {
		return fmt.Errorf("page %d is of type %x, not a freelist", c.freelist, kind)
	}
	ids := raw[headerSize:]
	if count == 0xFFFF {
		n := order.Uint64(ids)
		if n > c.pages {
			return fmt.Errorf("freelist of %d pages: the file has %d", n, c.pages)
		}
		count, ids = int(n), ids[8:]
	}
	if count*8 > len(ids) {
		return fmt.Errorf("freelist of %d pages is longer than its own", count)
	}
	for i := range count {
		if err := c.claim(order.Uint64(ids[i*8:]), 1); err != nil {
			return fmt.Errorf("freelist: %w", err)
		}
	}
	return nil
}

// tree checks the pages below id, whose keys must lie in [from, to); nil has no bound. Only the file's root holds buckets.
func (c *checker) tree(id uint64, root bool, from, to []byte) error {
	raw, err := c.page(id)
	if err != nil {
		return err
	}
	switch kind, count := kindOf(raw); kind {
	case typeLeaf:
		if err := c.leaf(raw, root, from, to); err != nil {
			return fmt.Errorf("page %d: %w", id, err)
		}
		return nil
	case typeBranch:
		if count == 0 {
			return fmt.Errorf("page %d: a branch without children", id)
		}
		return c.branch(id, root, raw, count, from, to)
	default:
		return fmt.Errorf("page %d is of type %x, not of a tree", id, kind)
	}
}

func (c *checker) branch(id uint64, root bool, raw []byte, count int, from, to []byte) error {
	keys, children := make([][]byte, count), make([]uint64, count)
	for i := range count {
		at := headerSize + i*elementSize
		if at+elementSize > len(raw) {
			return fmt.Errorf("page %d: %d children do not fit it", id, count)
		}
		var err error
		if keys[i], err = span(raw, at, order.Uint32(raw[at:]), order.Uint32(raw[at+4:])); err != nil {
			return fmt.Errorf("page %d, child %d: %w", id, i, err)
		}
		children[i] = order.Uint64(raw[at+8:])
		if err := inOrder(keys[i], from, to, i > 0); err != nil {
			return fmt.Errorf("page %d, child %d: %w", id, i, err)
		}
		from = keys[i]
	}
	for i, child := range children {
		end := to
		if i+1 < count {
			end = keys[i+1]
		}
		if err := c.tree(child, root, keys[i], end); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks a leaf, and the buckets in it: raw is a page, or a bucket's own small one.
func (c *checker) leaf(raw []byte, root bool, from, to []byte) error {
	_, count := kindOf(raw)
	for i := range count {
		at := headerSize + i*elementSize
		if at+elementSize > len(raw) {
			return fmt.Errorf("%d entries do not fit", count)
		}
		flags, pos, keySize, valueSize := order.Uint32(raw[at:]), order.Uint32(raw[at+4:]), order.Uint32(raw[at+8:]), order.Uint32(raw[at+12:])
		k, err := span(raw, at, pos, keySize)
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		value, err := span(raw, at+int(keySize), pos, valueSize)
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if err := inOrder(k, from, to, i > 0); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		from = k
		switch {
		case flags == 0:
		case flags == flagBucket && root:
			if err := c.bucket(value); err != nil {
				return fmt.Errorf("bucket %q: %w", k, err)
			}
		default:
			return fmt.Errorf("entry %d has flags %x", i, flags)
		}
	}
	return nil
}

func (c *checker) bucket(value []byte) error {
	if len(value) < bucketSize {
		return fmt.Errorf("%d bytes", len(value))
	}
	if root := order.Uint64(value); root != 0 {
		return c.tree(root, false, nil, nil)
	}
	page := value[bucketSize:]
	if len(page) < headerSize {
		return fmt.Errorf("a page of %d bytes of its own", len(page))
	}
	if kind, _ := kindOf(page); kind != typeLeaf {
		return fmt.Errorf("its own page is of type %x", kind)
	}
	return c.leaf(page, false, nil, nil)
}

// span is the part of raw that begins pos bytes after at.
func span(raw []byte, at int, pos, size uint32) ([]byte, error) {
	start := uint64(at) + uint64(pos)
	if start < headerSize || start+uint64(size) > uint64(len(raw)) {
		return nil, errors.New("points out of its page")
	}
	return raw[start : start+uint64(size)], nil
}

// inOrder checks that a key is not below from (above it, when after is set) and below to.
func inOrder(k, from, to []byte, after bool) error {
	below := bytes.Compare(k, from)
	if from != nil && (below < 0 || after && below == 0) || to != nil && bytes.Compare(k, to) >= 0 {
		return errors.New("keys are out of order")
	}
	return nil
}
