package order_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/backend/gateway/order"
)

func TestDrawings(t *testing.T) {
	page, err := os.ReadFile("../../../docs/gateway.md")
	require.NoError(t, err)
	for name, first := range map[string]string{"Order": "open", "Payment": "created", "Operation": "ordered", "Agreement": "signing", "Binding": "applied", "Reload": "watching"} {
		want := "```mermaid\nstateDiagram-v2\n  [*] --> " + first + "\n"
		seen := map[string]bool{}
		for _, a := range order.Tables()[name] {
			key := a.From + " " + a.On
			require.False(t, seen[key], "%s: %s leads to two states", name, key)
			seen[key] = true
			want += fmt.Sprintf("  %s --> %s: %s\n", a.From, a.To, a.On)
		}
		require.Contains(t, string(page), want+"```\n", name)
	}
	for _, s := range order.States {
		require.Contains(t, string(page), "`"+string(s)+"`")
	}
}

func TestMoneyThatHasComeIsNeverUnsaid(t *testing.T) {
	for _, e := range order.PaymentEvents {
		_, err := order.NextPayment(order.PaymentPaid, e)
		require.ErrorIs(t, err, order.ErrState, e)
	}
	for _, s := range []order.State{order.Paid, order.PartRefunded, order.Held} {
		for _, e := range order.Events {
			next, err := order.Next(s, e)
			require.False(t, err == nil && (next.Awaits() || next == order.Closed), "%s %s", s, e)
		}
	}
}

// TestEveryWordOfAChannelFitsTheTable: what EventOf calls an event is a move there is, and only a verified success makes a payment paid.
func TestEveryWordOfAChannelFitsTheTable(t *testing.T) {
	for o := channel.Unknown; o <= channel.Missing; o++ {
		for _, flag := range []bool{false, true} {
			for _, gone := range []bool{false, true} {
				for _, s := range order.PaymentStates {
					e, means := order.EventOf(s, o, flag, gone)
					if !means {
						continue
					}
					next, err := order.NextPayment(s, e)
					require.NoError(t, err, "%s %v", s, o)
					require.Equal(t, next == order.PaymentPaid, o == channel.Succeeded && !flag, "%s %v", s, o)
					require.False(t, o == channel.Unknown && next.Ended(), "unknown is not failed")
					require.False(t, o == channel.Missing && !gone && next.Ended(), "it may still be on its way")
				}
			}
			for _, s := range order.AgreementStates {
				for _, gone := range []bool{false, true} {
					e, means := order.AgreementEventOf(s, o, gone)
					if !means {
						continue
					}
					next, err := order.NextAgreement(s, e)
					require.NoError(t, err, "%s %v", s, o)
					require.Equal(t, next == order.Active, o == channel.Succeeded, "%s %v", s, o)
					require.False(t, o == channel.Missing && !gone, "it may still be signed")
				}
			}
			for _, s := range order.BindingStates {
				for bits := range 16 {
					w := order.BindingWord{Outcome: o, ByPayer: flag, Proven: bits&1 > 0, OnItsWay: bits&2 > 0, ByPage: bits&4 > 0, MaxTries: 1 + bits>>3}
					e, means := order.BindingEventOf(s, w)
					if !means {
						continue
					}
					next, err := order.NextBinding(s, e)
					require.NoError(t, err, "%s %v", s, w)
					require.Equal(t, next == order.Bound, o == channel.Succeeded && w.Proven, "%s %v", s, w)
					require.NotEqual(t, channel.Unknown, o, "unknown is not refused")
					require.False(t, o == channel.Missing && w.OnItsWay, "it may still be on its way")
				}
			}
			for _, s := range order.OperationStates {
				e, means := order.OperationEventOf(s, o, flag)
				if !means {
					continue
				}
				next, err := order.NextOperation(s, e)
				require.NoError(t, err, "%s %v", s, o)
				require.Equal(t, next == order.Done, o == channel.Succeeded, "%s %v", s, o)
			}
		}
	}
}

func TestNumbersSortByTimeAndFitChannels(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		ms := rapid.Int64Range(0, 1<<47).Draw(r, "ms")
		var a, b [10]byte
		copy(a[:], rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(r, "a"))
		copy(b[:], rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(r, "b"))
		first, second := order.Number(order.OfPayment, time.UnixMilli(ms), a), order.Number(order.OfPayment, time.UnixMilli(ms+1), b)
		require.Less(r, first, second)
		require.Regexp(r, `^P[0-9A-HJKMNP-TV-Z]{26}$`, first)
		require.Equal(r, a == b, order.Number(order.OfPayment, time.UnixMilli(ms), b) == first)
	})
}

func TestSchedule(t *testing.T) {
	s := order.DefaultSchedule()
	var got []time.Duration
	for n := range 8 {
		got = append(got, s.Payment(order.Unknown, n)/time.Second)
	}
	require.Equal(t, []time.Duration{1, 2, 4, 8, 16, 32, 60, 120}, got)
	require.Equal(t, 4*time.Second, s.Payment(order.Waiting, 149))
	require.Equal(t, time.Minute, s.Payment(order.Waiting, 150))
	require.Equal(t, time.Hour, s.Operation(1000))
	pause, assume := s.OfPayout(7)
	require.Equal(t, 256*time.Second, pause)
	require.False(t, assume)
	_, assume = s.OfPayout(8)
	require.True(t, assume)
	require.Equal(t, 9, order.Slice(time.Unix(59*60+59, 0)))
}
