package channellife_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/simulator/channellife"
)

// TestBars holds a small experiment against what the health of channels promises. Seeds are those of tuning: the report uses others.
func TestBars(t *testing.T) {
	f := channellife.Measure(health.Automatic, channellife.Tuning, channellife.Size{Busy: 2, Quiet: 2, Windows: 40})
	require.Equal(t, 2*len(channellife.Busy)+2*len(channellife.Quiet), f.Faults)
	require.GreaterOrEqual(t, f.Windows, 40)
	require.GreaterOrEqual(t, f.Recall(), 0.99)
	require.GreaterOrEqual(t, f.Precision(), 0.99, "%d wrong", f.Wrong)
	require.LessOrEqual(t, channellife.Quantile(f.Response, 0.95), 10*time.Second)
	require.LessOrEqual(t, channellife.Quantile(f.Slow, 0.95), time.Minute)
	require.LessOrEqual(t, channellife.Quantile(f.Recovery, 0.95), 5*time.Minute)
	require.Zero(t, f.Actions)
	require.Len(t, f.Recovery, f.Faults, "every channel came back")
}

// TestPeopleAreSlower: where people act, they act, and it takes them longer.
func TestPeopleAreSlower(t *testing.T) {
	size := channellife.Size{Busy: 1}
	auto := channellife.Measure(health.Automatic, channellife.Tuning, size)
	semi := channellife.Measure(health.SemiAutomatic, channellife.Tuning, size)
	manual := channellife.Measure(health.Manual, channellife.Tuning, size)
	require.Zero(t, auto.Actions)
	require.Positive(t, semi.Actions)
	require.Positive(t, manual.Actions)
	require.Greater(t, channellife.Quantile(manual.Response, 0.5), channellife.Quantile(semi.Response, 0.5))
	require.Greater(t, channellife.Quantile(semi.Recovery, 0.5), channellife.Quantile(auto.Recovery, 0.5))
	require.Greater(t, manual.Lost, auto.Lost)
}

func TestARunIsAFunctionOfItsSeed(t *testing.T) {
	p := channellife.Plan{Seed: 42, Shape: channellife.Flapping, Mode: health.Automatic}
	require.Equal(t, channellife.Run(p), channellife.Run(p))
}

// TestADeafDetectorFailsTheBars: the experiment can tell a bad detector.
func TestADeafDetectorFailsTheBars(t *testing.T) {
	s := health.Defaults()
	s.Alpha = 1e-120
	o := channellife.Run(channellife.Plan{Seed: 1, Shape: channellife.CodeStorm, Mode: health.Automatic, Settings: &s})
	require.Greater(t, o.Lost, 1000)
	s = health.Defaults()
	s.Alpha = 1e-3
	wrong := 0
	for seed := range uint64(5) {
		wrong += channellife.Run(channellife.Plan{Seed: seed, Healthy: 100 * time.Minute, Mode: health.Automatic, Settings: &s}).Wrong
	}
	require.Positive(t, wrong)
}

// TestSharesDouble: the shares that a channel sees on its way back are s, 2s, 4s … 1.
func TestSharesDouble(t *testing.T) {
	var shares []float64
	channellife.Run(channellife.Plan{Seed: 5, Shape: channellife.HardDown, Mode: health.Automatic, Moves: func(m health.Move) {
		switch m.Does {
		case health.StartRamp:
			shares = []float64{m.Share} // one that failed is begun anew
		case health.ContinueRamp:
			shares = append(shares, m.Share)
		}
	}})
	require.Greater(t, len(shares), 3)
	for i, s := range shares[1:] {
		require.InDelta(t, min(2*shares[i], 1), s, 1e-9)
	}
	require.Equal(t, 1.0, shares[len(shares)-1])
}
