package eccard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ec"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/simulator/eccard"
)

// transitTap is one tap of a kind of DF60 on the record of an ID, which it leaves as it is but for its third byte.
func transitTap(t *testing.T, i *eccard.Issuer, card *eccard.Card, kind byte, id [2]byte, amount int64, ttq ec.TTQ) (*ec.Card, *ec.Tap, error) {
	card.Insert()
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	record, err := c.ReadTransit(t.Context(), metroFile, id, false, &[8]byte{1})
	require.NoError(t, err)
	next := []byte{id[0], id[1], kind, record.Data[3]}
	tapped, err := c.BeginTransit(t.Context(), ec.Terminal{
		TTQ: ttq, Amount: money.Minor(amount), Currency: yuan, Date: 20260105, UN: [4]byte{1}, Transit: kind,
	}, i.Operator(), record, next)
	return c, tapped, err
}

func TestPreAuthorisation(t *testing.T) {
	i, card, authorities := metroCard(t, 1_000, 0)
	name := metroName(tapNumber(t, card))
	card.Insert()
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	ids := [][2]byte{metroID, {0x28, 0x02}, {0x28, 0x03}, {0x28, 0x04}}
	for _, id := range ids[1:] {
		name.ID = id
		require.NoError(t, c.AppendTransit(t.Context(), i.Operator(), name, append(id[:], 0, 0)))
	}
	commit := func(c *ec.Card, tapped *ec.Tap, err error) {
		require.NoError(t, err)
		decision, err := tapped.Check(authorities, false)
		require.NoError(t, err)
		require.Equal(t, ec.Approve, decision)
		require.NoError(t, c.Commit(t.Context(), tapped))
		require.NoError(t, tapped.Authenticate(authorities))
	}

	_, _, err = transitTap(t, i, card, ec.PreAuthCompletion, metroID, 1, ec.GateTTQ)
	require.ErrorIs(t, err, ec.ErrNoPreAuth)
	c, tapped, err := transitTap(t, i, card, ec.PreAuthorisation, metroID, 300, ec.GateTTQ)
	commit(c, tapped, err)
	require.Equal(t, money.Minor(700), card.Balance(), "reserved")
	require.True(t, tapped.Reserves())
	require.Zero(t, tapped.AC)
	raw, err := tapped.Field55(nil)
	require.NoError(t, err)
	_, err = ec.ParseField55(raw)
	require.ErrorIs(t, err, ec.ErrMalformed, "there is no cryptogram to settle")
	kept, err := tapped.Bytes()
	require.NoError(t, err)
	again, err := ec.ParseTap(kept)
	require.NoError(t, err)
	require.Equal(t, tapped, again)

	_, _, err = transitTap(t, i, card, ec.PreAuthorisation, metroID, 1, ec.GateTTQ)
	require.ErrorIs(t, err, ec.ErrPreAuthOpen)
	for _, id := range ids[1:3] {
		c, tapped, err := transitTap(t, i, card, ec.PreAuthorisation, id, 100, ec.GateTTQ)
		commit(c, tapped, err)
	}
	_, _, err = transitTap(t, i, card, ec.PreAuthorisation, ids[3], 1, ec.GateTTQ)
	require.ErrorIs(t, err, ec.ErrPreAuthFull)
	require.Equal(t, money.Minor(500), card.Balance())

	// A load must leave room for what the completions may give back.
	tooMuch, err := ec.PutAmount(ec.TagBalance, money.Minor(99_501))
	require.NoError(t, err)
	_, err = online(t, i, card, tooMuch)
	require.ErrorIs(t, err, ec.ErrOverLimit)

	c, tapped, err = transitTap(t, i, card, ec.PreAuthCompletion, metroID, 120, ec.GateTTQ)
	commit(c, tapped, err)
	require.Equal(t, money.Minor(680), card.Balance(), "500 and 300 less 120")
	require.False(t, tapped.Reserves())
	raw, err = tapped.Field55(nil)
	require.NoError(t, err)
	claim, err := ec.ParseField55(raw)
	require.NoError(t, err)
	require.NoError(t, ec.VerifyCryptogram(t.Context(), i.Door(), ec.CardKeys{DKI: 1, PAN: tapped.Track2.PAN, PSN: 1}, claim.Sent, claim.AIP, claim.ATC, claim.IAD, claim.AC))

	_, tapped, err = transitTap(t, i, card, ec.PreAuthCompletion, ids[1], 781, ec.GateTTQ)
	require.NoError(t, err)
	require.Equal(t, ec.AAC, tapped.Decision, "680 and 100 do not pay 781")
	c, tapped, err = transitTap(t, i, card, ec.PreAuthCompletion, ids[1], 150, ec.GateTTQ)
	commit(c, tapped, err)
	require.Equal(t, money.Minor(630), card.Balance(), "a fare above what was reserved takes the rest from the balance")
	c, tapped, err = transitTap(t, i, card, ec.PreAuthCompletion, ids[2], 0, ec.GateTTQ)
	commit(c, tapped, err)
	require.Equal(t, money.Minor(730), card.Balance(), "nothing was used")
}

// TestPreAuthorisationTorn loses the last record before and after the card's work; a re-tap tells.
func TestPreAuthorisationTorn(t *testing.T) {
	for _, ttq := range []ec.TTQ{ec.GateTTQ, {0x28}} {
		i, card, authorities := metroCard(t, 1_000, 0)
		for _, k := range []struct {
			kind    byte
			how     eccard.Tear
			done    bool
			balance int64
		}{
			{ec.PreAuthorisation, eccard.LoseBefore, false, 1_000}, {ec.PreAuthorisation, eccard.LoseAnswer, true, 600},
			{ec.PreAuthCompletion, eccard.LoseBefore, false, 600}, {ec.PreAuthCompletion, eccard.LoseAnswer, true, 950},
		} {
			amount := int64(400)
			if k.kind == ec.PreAuthCompletion {
				amount = 50
			}
			c, tapped, err := transitTap(t, i, card, k.kind, metroID, amount, ttq)
			require.NoError(t, err)
			card.TearAt = func(int) eccard.Tear { return k.how }
			require.ErrorIs(t, c.Commit(t.Context(), tapped), ec.ErrUncertain)
			require.Equal(t, money.Minor(k.balance), card.Balance())
			card.TearAt = nil
			card.Insert()
			c, err = ec.Select(t.Context(), card, accepted)
			require.NoError(t, err)
			got, err := c.Recover(t.Context(), tapped, authorities)
			require.NoError(t, err)
			switch {
			case !k.done:
				require.Equal(t, ec.NotDebited, got)
			case ttq.FDDA01():
				require.Equal(t, ec.Proven, got)
			default:
				require.Equal(t, ec.Unproven, got)
			}
		}
	}
}

// TestCompletionPaysTheDeposit: what a completion gives back pays off the deposit used.
func TestCompletionPaysTheDeposit(t *testing.T) {
	i, card, authorities := metroCard(t, 500, 500)
	c, tapped, err := transitTap(t, i, card, ec.PreAuthorisation, metroID, 400, ec.GateTTQ)
	require.NoError(t, err)
	require.NoError(t, c.Commit(t.Context(), tapped))
	c, tapped, err = transitTap(t, i, card, ec.SegmentedFare, metroID, 250, ec.GateTTQ)
	require.NoError(t, err)
	require.NoError(t, c.Commit(t.Context(), tapped))
	require.NoError(t, tapped.Authenticate(authorities))
	require.Zero(t, card.Balance())
	require.Equal(t, "000000000150", data(t, card, ec.TagDepositUsed))
	c, tapped, err = transitTap(t, i, card, ec.PreAuthCompletion, metroID, 200, ec.GateTTQ)
	require.NoError(t, err)
	require.NoError(t, c.Commit(t.Context(), tapped))
	require.Equal(t, money.Minor(50), card.Balance())
	require.Equal(t, "000000000000", data(t, card, ec.TagDepositUsed))
}

// tapNumber is a card's number, as a tap tells it.
func tapNumber(t *testing.T, card *eccard.Card) ec.PAN {
	card.Insert()
	c, err := ec.Select(t.Context(), card, accepted)
	require.NoError(t, err)
	o, err := c.BeginOnline(t.Context(), kioskTerminal)
	require.NoError(t, err)
	return o.Track2.PAN
}

// TestPreAuthorisationNeedsItsRecord: without a record that was read there is nothing to reserve under.
func TestPreAuthorisationNeedsItsRecord(t *testing.T) {
	_, card, _ := metroCard(t, 500, 0)
	for _, kind := range []byte{ec.PreAuthorisation, ec.PreAuthCompletion} {
		card.Insert()
		c, err := ec.Select(t.Context(), card, accepted)
		require.NoError(t, err)
		_, err = c.Begin(t.Context(), ec.Terminal{TTQ: ec.GateTTQ, Amount: money.Minor(1), Currency: yuan, Date: 20260105, Transit: kind})
		require.ErrorIs(t, err, ec.ErrConditions)
		require.NotErrorIs(t, err, apdu.ErrNoAnswer)
	}
}
