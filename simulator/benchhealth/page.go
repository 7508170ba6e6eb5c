package main

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/health"
	"github.com/purselane/purselane/simulator/channellife"
)

// chart is one run as lines over time.
type chart struct {
	Shape                     channellife.Shape
	Share                     string   // points of a polyline
	Success                   []string // the same, broken where no payment came
	Faulty, Out               []band
	Moves                     []string
	Minutes                   []tickMark
	Response, Recovery, Again string
}

type band struct{ X, Width float64 }
type tickMark struct {
	X    float64
	Text string
}

const (
	chartWidth  = 900.0
	chartHeight = 160.0
)

// played runs one fault of a shape and draws what happened from a minute before it to its end.
func played(shape channellife.Shape, seed uint64) chart {
	c := chart{Shape: shape}
	var samples []channellife.Sample
	var moves []health.Move
	o := channellife.Run(channellife.Plan{Seed: seed, Shape: shape, Quiet: shape == channellife.Night, Mode: health.Automatic,
		Trace: func(s channellife.Sample) { samples = append(samples, s) }, Moves: func(m health.Move) { moves = append(moves, m) }})
	from, to := o.Fault.Begin-time.Minute, o.Fault.End+6*time.Minute
	x := func(at time.Duration) float64 {
		return min(max(float64(at-from)/float64(to-from), 0), 1) * chartWidth
	}
	y := func(part float64) float64 { return (1 - part) * chartHeight }
	var share, success strings.Builder
	for _, s := range samples {
		if s.At < from || s.At > to {
			continue
		}
		fmt.Fprintf(&share, "%.1f,%.1f ", x(s.At), y(s.Share))
		if s.Success >= 0 {
			fmt.Fprintf(&success, "%.1f,%.1f ", x(s.At), y(s.Success))
		} else if success.Len() > 0 {
			c.Success = append(c.Success, success.String())
			success.Reset()
		}
		b := band{x(s.At - 5*time.Second), x(s.At) - x(s.At-5*time.Second) + 0.5}
		if s.Faulty {
			c.Faulty = append(c.Faulty, b)
		}
		if s.State == health.Unavailable {
			c.Out = append(c.Out, b)
		}
	}
	c.Share, c.Success = share.String(), append(c.Success, success.String())
	for _, m := range moves {
		c.Moves = append(c.Moves, fmt.Sprintf("%s %s → %v, share %.2f", m.At.Format("15:04:05"), m.Does, m.State, m.Share))
	}
	for at := o.Fault.Begin; at <= to-time.Minute; at += 5 * time.Minute {
		c.Minutes = append(c.Minutes, tickMark{x(at), fmt.Sprintf("%.0f min", (at - o.Fault.Begin).Minutes())})
	}
	c.Response, c.Recovery, c.Again = short(o.Response), short(o.Recovery), fmt.Sprint(o.Again)
	return c
}

var page = template.Must(template.New("report").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Channel health</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
pre{overflow-x:auto;font-size:13px;background:#f4f6f8;padding:1rem;border-radius:6px}
svg{width:100%;height:auto;border:1px solid #d6dbe1;border-radius:6px;background:#fff}
h2{margin:2rem 0 .3rem}
.key span{display:inline-block;margin-right:1.2rem}.key i{display:inline-block;width:1.6em;height:.6em;margin-right:.4em}
details{font-size:13px}
@media (prefers-color-scheme:dark){body{color:#e6e9ed;background:#14181d}pre{background:#1d232a}svg{background:#1a1f26;border-color:#333c46}}
</style></head><body>
<h1>Channel health</h1>
<pre>{{.Table}}</pre>
<p class="key"><span><i style="background:#f6c7c3"></i>the channel is truly faulty</span><span><i style="background:#8a929b"></i>it takes nothing</span><span><i style="background:#1f6feb"></i>share of its traffic</span><span><i style="background:#2da44e"></i>success</span></p>
{{range .Charts}}<h2>{{.Shape}}</h2>
<p>response {{.Response}}, recovery {{.Recovery}}, second faults {{.Again}}</p>
<svg viewBox="-40 -8 950 194" role="img" aria-label="share and success over time, {{.Shape}}">
{{range .Faulty}}<rect x="{{printf "%.1f" .X}}" y="0" width="{{printf "%.1f" .Width}}" height="160" fill="#f6c7c3"/>{{end}}
{{range .Out}}<rect x="{{printf "%.1f" .X}}" y="150" width="{{printf "%.1f" .Width}}" height="10" fill="#8a929b"/>{{end}}
{{range .Success}}<polyline points="{{.}}" fill="none" stroke="#2da44e" stroke-width="1.5" stroke-linecap="round" opacity=".8"/>{{end}}
<polyline points="{{.Share}}" fill="none" stroke="#1f6feb" stroke-width="2"/>
<g font-size="11" fill="#6b7480" text-anchor="end"><text x="-6" y="4">100 %</text><text x="-6" y="84">50 %</text><text x="-6" y="164">0 %</text></g>
{{range .Minutes}}<text text-anchor="middle" x="{{printf "%.1f" .X}}" y="178" font-size="11" fill="#6b7480">{{.Text}}</text>{{end}}
</svg>
<details><summary>{{len .Moves}} moves</summary><ol>{{range .Moves}}<li>{{.}}</li>{{end}}</ol></details>
{{end}}</body></html>
`))
