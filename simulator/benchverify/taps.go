package main

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/purselane/purselane/card/keys"
)

// taps is how many taps a turn verifies, each of another card. So few, and a turn is over before another program has this core.
const taps = 128

var (
	issuer  = [8]byte{1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	master  = keys.Key{0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x6B, 0x6C, 0x6D, 0x6E, 0x6F}
	masters = map[keys.ID]keys.Key{{Purpose: keys.TAC, Version: 1}: master, {Purpose: keys.TAC, Version: 1, Algorithm: keys.AlgorithmSM4}: master}
)

// messageSize is that of a purchase's TAC input.
const messageSize = 22

var errWrong = errors.New("a TAC does not verify")

// makeJobs makes right TACs of n cards, under 3DES or SM4 keys.
func makeJobs(n int, algorithm byte) ([]keys.TACJob, error) {
	soft := keys.NewSoft(masters)
	out := make([]keys.TACJob, n)
	for i := range out {
		var serial [8]byte
		binary.BigEndian.PutUint64(serial[:], uint64(i)*0x9E3779B97F4A7C15)
		j := &out[i]
		j.Card = keys.Card{ID: keys.ID{Purpose: keys.TAC, Version: 1, Algorithm: algorithm}, Factors: [][8]byte{issuer, serial}}
		j.Message = make([]byte, messageSize)
		binary.BigEndian.PutUint32(j.Message, uint32(i))
		var err error
		if j.TAC, err = soft.TAC(context.Background(), j.Card, j.Message); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// verify is what the backend does with a worker's share of a group.
func verify(door keys.HSM, jobs []keys.TACJob) func() error {
	return func() error { return errors.Join(keys.VerifyTACs(context.Background(), door, jobs)...) }
}

// lines are the comparisons in software; the first is the one with a bar.
func lines() []line {
	triple, err1 := makeJobs(taps, 0)
	sm4, err2 := makeJobs(taps, keys.AlgorithmSM4)
	if err := errors.Join(err1, err2); err != nil {
		panic(err) // the keys are ours
	}
	soft := keys.NewSoft(masters)
	return []line{
		{"verify-bitsliced", taps, verify(soft, triple), straight(triple)},
		{"verify-bitsliced-held", taps, verify(soft, triple), held(triple)},
		{"verify-sm4", taps, verify(soft, sm4), straightSM4(sm4)},
	}
}
