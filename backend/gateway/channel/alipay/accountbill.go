package alipay

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// The columns of an account bill that are read, and the lines around the rows.
const (
	flowID     = "业务流水号"
	flowNumber = "商户订单号"
	flowTime   = "发生时间"
	flowIn     = "收入金额(+元)"
	flowOut    = "支出金额(-元)"
	flowKind   = "业务类型"

	accountTitle = "#支付宝账务明细查询"
	flowsEnd     = "账务明细列表结束"
	transferred  = "转账"
)

var (
	outSum = regexp.MustCompile(`^#+支出合计:(\d{1,9})笔,共(-?[\d.]+)元`)
	inSum  = regexp.MustCompile(`^#+收入合计:(\d{1,9})笔,共(-?[\d.]+)元`)
)

// flows is what the rows of an account bill add up to.
type flows struct {
	ins, outs int
	in, out   money.Amount
}

// ParseTransfers reads the transfers in the archive with the account bill of a day: what went out under a number of ours, less what came back under it on that day.
// It is refused as a whole like the trade bill.
func ParseTransfers(archive []byte, seller string, day time.Time) ([]channel.BillRow, error) {
	lines, err := unpack(archive, accountTitle)
	if err != nil {
		return nil, err
	}
	at := 0
	next := func() string {
		if at >= len(lines) {
			return ""
		}
		at++
		return strings.TrimSpace(strings.TrimRight(strings.TrimSpace(lines[at-1]), ",")) // some files fill every line up with commas
	}
	next()
	if err := headed(next(), next(), seller, day); err != nil {
		return nil, err
	}
	next() // a line of dashes
	head, err := columns(plain.Replace(next()), flowID, flowNumber, flowTime, flowIn, flowOut, flowKind)
	if err != nil {
		return nil, fmt.Errorf("its head: %w", err)
	}
	var rows []channel.BillRow
	var sums flows
	net := map[string]money.Amount{}
	for {
		line := next()
		if strings.HasPrefix(line, "#") && strings.Contains(line, flowsEnd) {
			break
		}
		if at >= len(lines) {
			return nil, errors.New("it has no end: the file is not whole")
		}
		f, err := head.fields(strings.TrimSpace(lines[at-1]))
		if err == nil {
			err = transferRow(f, &sums, net, &rows)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", at, err)
		}
	}
	if err := sums.check(plain.Replace(next()), plain.Replace(next())); err != nil {
		return nil, err
	}
	kept := rows[:0]
	for _, r := range rows {
		if net[r.Number].Sign() > 0 {
			kept = append(kept, r)
		}
	}
	return kept, nil
}

// transferRow counts a row, and takes one that is about a transfer.
func transferRow(f func(string) string, sums *flows, net map[string]money.Amount, rows *[]channel.BillRow) error {
	in, errIn := size(f(flowIn))
	out, errOut := size(f(flowOut))
	at, errAt := moment(f(flowTime))
	if err := errors.Join(errIn, errOut, errAt); err != nil {
		return err
	}
	if in.Sign() > 0 == (out.Sign() > 0) {
		return errors.New("it is not either income or expense")
	}
	var err1, err2 error
	if in.Sign() > 0 {
		sums.ins++
		sums.in, err1 = sums.in.Add(in)
	} else {
		sums.outs++
		sums.out, err1 = sums.out.Add(out)
	}
	number := f(flowNumber)
	if strings.HasPrefix(f(flowKind), transferred) && number != "" {
		var n money.Amount
		if n, err2 = net[number].Add(out); err2 == nil {
			n, err2 = n.Sub(in)
		}
		net[number] = n
		if out.Sign() > 0 {
			if at.IsZero() || f(flowID) == "" {
				return errors.New("a number or the time is missing")
			}
			*rows = append(*rows, channel.BillRow{Kind: channel.OfPayout, Number: number, ChannelID: f(flowID), Money: channel.Money{Amount: out, Currency: currency}, At: at})
		}
	}
	return errors.Join(err1, err2)
}

// size is an amount without its sign, which its column has; none is zero.
func size(s string) (money.Amount, error) {
	if s = strings.TrimLeft(s, "+-"); s == "" {
		return money.Amount{}, nil
	}
	return amount(s)
}

func (t flows) check(out, in string) error {
	for _, s := range []struct {
		name  string
		said  []string
		count int
		sum   money.Amount
	}{{"支出", outSum.FindStringSubmatch(out), t.outs, t.out}, {"收入", inSum.FindStringSubmatch(in), t.ins, t.in}} {
		if s.said == nil {
			return fmt.Errorf("the sum of %s is missing: the file is not whole", s.name)
		}
		sum, err := size(s.said[2])
		if err != nil || s.said[1] != fmt.Sprint(s.count) || sum != s.sum {
			return fmt.Errorf("it has %d rows of %s over %s, and its sum says %s over %s: the file is not whole", s.count, s.name, s.sum, s.said[1], s.said[2])
		}
	}
	return nil
}
