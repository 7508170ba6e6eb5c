package keys

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"slices"

	"github.com/purselane/purselane/card/keys/bitslice"
)

// TACRequest asks for the TAC of a card over a message.
type TACRequest struct {
	Card    Card
	Message []byte
}

// TACAnswer is a TAC, or the error that [HSM.TAC] would give for the same request.
type TACAnswer struct {
	TAC [4]byte
	Err error
}

// BatchTAC is what an HSM may have beside [HSM.TAC]: many TACs in one call, for less than one by one. [Soft] and [Device] have it.
type BatchTAC interface {
	// TACs answers each request, in their order, as TAC answers it alone; an error is of its own request.
	TACs(ctx context.Context, all []TACRequest) []TACAnswer
}

// TACJob is a TAC to verify.
type TACJob struct {
	TACRequest
	TAC [4]byte
}

// VerifyTAC makes the job's TAC anew and compares. It returns nil, ErrBadMAC, or the door's error, which decides nothing about the TAC.
func VerifyTAC(ctx context.Context, h HSM, job TACJob) error {
	tac, err := h.TAC(ctx, job.Card, job.Message)
	return job.judge(TACAnswer{tac, err})
}

// VerifyTACs is VerifyTAC for many jobs, with one verdict for each, in their order. Doors with [BatchTAC] are asked at once, others one by one; the
// verdicts are the same.
func VerifyTACs(ctx context.Context, h HSM, jobs []TACJob) []error {
	verdicts := make([]error, len(jobs))
	batch, ok := h.(BatchTAC)
	if !ok {
		for i, job := range jobs {
			verdicts[i] = VerifyTAC(ctx, h, job)
		}
		return verdicts
	}
	requests := make([]TACRequest, len(jobs))
	for i, job := range jobs {
		requests[i] = job.TACRequest
	}
	for i, answer := range batch.TACs(ctx, requests) {
		verdicts[i] = jobs[i].judge(answer)
	}
	return verdicts
}

func (j TACJob) judge(a TACAnswer) error {
	switch {
	case a.Err != nil:
		return a.Err
	case subtle.ConstantTimeCompare(a.TAC[:], j.TAC[:]) != 1:
		return ErrBadMAC
	}
	return nil
}

// Format prints which key is asked, and nothing that names the card.
func (r TACRequest) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[TAC by %v]", r.Card) }

// LogValue is Format for structured logs.
func (r TACRequest) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// Format is that of the request.
func (j TACJob) Format(f fmt.State, verb rune) { j.TACRequest.Format(f, verb) }

// LogValue is that of the request.
func (j TACJob) LogValue() slog.Value { return j.TACRequest.LogValue() }

// fewestLanes is how many requests make lanes worth their price: all 64 cost as much as two or three requests on the straight path.
const fewestLanes = 4

var (
	_ BatchTAC = (*Soft)(nil)
	_ BatchTAC = Device(nil)
)

// lanes are requests that can be worked side by side: one master key, one number of levels.
type lanes struct {
	id     ID
	levels int
}

func lanesOf(c Card) lanes { return lanes{c.ID, len(c.Factors)} }

// TACs implements BatchTAC: 3DES keys are derived and used in 64 lanes (package bitslice), and nothing is held afterwards. SM4, what is left over, and
// all that is an error go the straight way.
func (s *Soft) TACs(ctx context.Context, all []TACRequest) []TACAnswer {
	out := make([]TACAnswer, len(all))
	alone := func(i int) { out[i].TAC, out[i].Err = s.TAC(ctx, all[i].Card, all[i].Message) }
	groups := map[lanes][]int{}
	for i := 0; i < len(all); { // mostly all of one kind, which is looked up once
		g, fit, from := lanesOf(all[i].Card), s.fitsLanes(all[i].Card), i
		for ; i < len(all) && lanesOf(all[i].Card) == g; i++ {
			if !fit {
				alone(i)
			}
		}
		if fit {
			members := groups[g]
			for ; from < i; from++ {
				members = append(members, from)
			}
			groups[g] = members
		}
	}
	for g, members := range groups {
		issuer := issuerKey{master: s.masters[g.id]}
		eachLanes(members, func(side []int) {
			k, level := issuer.lanes(side, all)
			for ; level < g.levels; level++ {
				x := laneBlocks(side, func(i int) [8]byte { return all[i].Card.Factors[level] })
				k.Diversify(&x)
			}
			folded := k.Fold()
			k = bitslice.Key{}
			laneTACs(&folded, side, all, out)
		}, alone)
	}
	return out
}

// fitsLanes says whether lanes can make the card's TACs.
func (s *Soft) fitsLanes(c Card) bool {
	_, known := s.masters[c.ID]
	return known && c.ID.Purpose == TAC && len(c.Factors) >= 1 && len(c.Factors) <= maxLevels && s.cipher(c) == TripleDES
}

// issuerKey is the key above the last level, of the issuer that was asked for last.
type issuerKey struct {
	master  Key
	factors [][8]byte // nil: none yet
	key     Key
}

// lanes returns the key that all of side derive theirs from, and the level from which they do: the last one where all have one issuer, as in most
// schemes they have, else the first.
func (k *issuerKey) lanes(side []int, all []TACRequest) (bitslice.Key, int) {
	first := all[side[0]].Card.Factors
	last := len(first) - 1
	for _, i := range side {
		if !slices.Equal(all[i].Card.Factors[:last], first[:last]) {
			return bitslice.SameKey(k.master), 0
		}
	}
	if k.factors == nil || !slices.Equal(k.factors, first[:last]) {
		k.factors, k.key = first[:last], Diversify(k.master, first[:last]...)
	}
	return bitslice.SameKey(k.key), last
}

// Format prints no key.
func (k issuerKey) Format(f fmt.State, _ rune) { hide(f) }

// eachLanes hands members out by lanes, and singly where lanes would cost more.
func eachLanes(members []int, together func(side []int), alone func(i int)) {
	for len(members) >= fewestLanes {
		n := min(len(members), bitslice.Lanes)
		together(members[:n])
		members = members[n:]
	}
	for _, i := range members {
		alone(i)
	}
}

// laneBlocks fills lanes; those without a member hold zeros.
func laneBlocks(side []int, of func(i int) [8]byte) (b bitslice.Block) {
	var blocks [bitslice.Lanes][8]byte
	for lane, i := range side {
		blocks[lane] = of(i)
	}
	b.Set(&blocks)
	clear(blocks[:])
	return b
}

// laneTACs makes the TACs under folded keys, and overwrites these.
func laneTACs(folded *bitslice.Block, side []int, all []TACRequest, out []TACAnswer) {
	var messages [bitslice.Lanes][]byte
	for lane, i := range side {
		messages[lane] = all[i].Message
	}
	macs := bitslice.MAC(folded, &bitslice.Block{}, &messages)
	clear(folded[:])
	values := macs.Get()
	for lane, i := range side {
		out[i].TAC = [4]byte(values[lane][:4])
	}
}
