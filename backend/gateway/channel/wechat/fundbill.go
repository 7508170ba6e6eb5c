package wechat

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// The columns of a fund bill that are read, and those of its summary.
const (
	flowTime    = "记账时间"
	flowID      = "微信支付业务单号"
	flowKind    = "业务类型"
	flowWay     = "收支类型"
	flowAmount  = "收支金额(元)"
	flowNumber  = "业务凭证号"
	flowCount   = "资金流水总笔数"
	flowIns     = "收入笔数"
	flowIn      = "收入金额"
	flowOuts    = "支出笔数"
	flowOut     = "支出金额"
	wayIn       = "收入"
	wayOut      = "支出"
	transferred = "商家转账"
)

// ParseTransfers reads the transfers in a fund bill: what went out under a number of ours, less what came back under it on that day. A row that does not
// read, or a sum that does not fit, refuses the whole file.
func ParseTransfers(file []byte) ([]channel.BillRow, error) {
	lines, err := linesOf(file)
	if err != nil {
		return nil, err
	}
	head, err := columns(strings.NewReplacer("（", "(", "）", ")").Replace(lines[0]), flowTime, flowID, flowKind, flowWay, flowAmount, flowNumber)
	if err != nil {
		return nil, fmt.Errorf("its head: %w", err)
	}
	foot, err := columns(lines[len(lines)-2], flowCount, flowIns, flowIn, flowOuts, flowOut)
	if err != nil {
		return nil, fmt.Errorf("its sums: %w", err)
	}
	var rows []channel.BillRow
	var t flows
	net := map[string]int64{} // in units of yuan, by our number
	for i, line := range lines[1 : len(lines)-2] {
		f, err := head.fields(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		out, err := t.add(f)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		if f(flowKind) != transferred {
			continue
		}
		at, err := time.ParseInLocation(time.DateTime, f(flowTime), Zone)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		number := f(flowNumber)
		if number == "" {
			return nil, fmt.Errorf("line %d: a transfer without a number of ours", i+2)
		}
		if net[number] += out; out > 0 {
			rows = append(rows, channel.BillRow{Kind: channel.OfPayout, Number: number, ChannelID: f(flowID), Money: channel.Money{Amount: fenOf(out), Currency: "CNY"}, At: at})
		}
	}
	if err := t.check(foot, lines[len(lines)-1]); err != nil {
		return nil, err
	}
	kept := rows[:0]
	for _, r := range rows {
		if net[r.Number] > 0 {
			kept = append(kept, r)
		}
	}
	return kept, nil
}

// flows is what the rows of a fund bill add up to.
type flows struct{ ins, in, outs, out int64 }

// add counts a row, and says how much went out: less than zero came in.
func (t *flows) add(f func(string) string) (int64, error) {
	n, err := yuan(f(flowAmount))
	if err != nil {
		return 0, err
	}
	if n < 0 || max(t.in, t.out)+n > maxYuan {
		return 0, errors.New("an amount is out of range")
	}
	switch f(flowWay) {
	case wayIn:
		t.ins, t.in = t.ins+1, t.in+n
		return -n, nil
	case wayOut:
		t.outs, t.out = t.outs+1, t.out+n
		return n, nil
	}
	return 0, fmt.Errorf("%q is neither income nor expense", f(flowWay))
}

func (t *flows) check(foot table, line string) error {
	f, err := foot.fields(line)
	if err != nil {
		return fmt.Errorf("its sums: %w", err)
	}
	for _, s := range []struct {
		name string
		want int64
	}{{flowCount, t.ins + t.outs}, {flowIns, t.ins}, {flowOuts, t.outs}} {
		// Older files write counts with a decimal.
		if said, err := strconv.ParseInt(strings.TrimSuffix(f(s.name), ".0"), 10, 64); err != nil || said != s.want {
			return fmt.Errorf("its rows come to %d in %s, and its sum says %s: the file is not whole", s.want, s.name, f(s.name))
		}
	}
	for _, s := range []struct {
		name string
		want int64
	}{{flowIn, t.in}, {flowOut, t.out}} {
		if said, err := yuan(f(s.name)); err != nil || said != s.want {
			return fmt.Errorf("its rows add up to %s in %s, and its sum says %s: the file is not whole", fenOf(s.want), s.name, f(s.name))
		}
	}
	return nil
}
