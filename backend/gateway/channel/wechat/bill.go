package wechat

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// billReady is when the bill of a day is there for certain, after the day's end.
const billReady = 10 * time.Hour

// maxBill is the longest bill that is read: about a million rows.
const maxBill = 512 << 20

type billAnswer struct {
	HashType  string `json:"hash_type"`
	HashValue string `json:"hash_value"`
	URL       string `json:"download_url"`
}

// Bill reads the trade bill of a day: each payment and refund, amounts as they were ordered. Who pays out has his transfers from the fund bill. Each
// file is checked as a whole before the first row is given out: its digest, its merchant number on every row, and its sums.
func (c *Channel) Bill(ctx context.Context, day string, each func(channel.BillRow) error) error {
	rows, err := c.file(ctx, day, "/v3/bill/tradebill?bill_date="+day+"&bill_type=ALL", func(file []byte) ([]channel.BillRow, error) { return ParseBill(file, c.set.MerchantID) })
	if err == nil && c.set.Transfers.Scene != "" {
		var out []channel.BillRow
		out, err = c.file(ctx, day, "/v3/bill/fundflowbill?bill_date="+day+"&account_type="+c.set.Transfers.Account, ParseTransfers)
		rows = append(rows, out...)
	}
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// file asks for a bill of a day, fetches and reads it.
func (c *Channel) file(ctx context.Context, day, target string, parse func([]byte) ([]channel.BillRow, error)) ([]channel.BillRow, error) {
	date, err := time.ParseInLocation(time.DateOnly, day, Zone)
	if err != nil {
		return nil, fmt.Errorf("WeChat Pay: %q is no day: %w", day, err)
	}
	var a billAnswer
	no, err := c.call(ctx, http.MethodGet, target, nil, &a)
	if err != nil {
		return nil, err
	}
	if no != nil {
		switch {
		case no.Code == "STATEMENT_CREATING":
			return nil, channel.ErrNoBillYet
		case no.Code == "NO_STATEMENT_EXIST" && c.set.Now().Before(date.AddDate(0, 0, 1).Add(billReady)):
			return nil, channel.ErrNoBillYet
		case no.Code == "NO_STATEMENT_EXIST": // a day on which nothing moved has no bill
			return nil, nil
		}
		return nil, fmt.Errorf("WeChat Pay: bill of %s: %s: %s", day, no.Code, no.Message)
	}
	file, err := c.download(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("WeChat Pay: bill of %s: %w", day, err)
	}
	rows, err := parse(file)
	if err != nil {
		return nil, fmt.Errorf("WeChat Pay: bill of %s: %w", day, err)
	}
	return rows, nil
}

// download fetches the file and compares its digest with the one in the verified answer: the file itself is not signed.
func (c *Channel) download(ctx context.Context, a billAnswer) ([]byte, error) {
	if a.HashType != "SHA1" {
		return nil, fmt.Errorf("its digest is of kind %q, and SHA1 is known here", a.HashType)
	}
	want, err := hex.DecodeString(a.HashValue)
	if err != nil {
		return nil, errors.New("its digest is not hexadecimal")
	}
	at, err := url.Parse(a.URL)
	if err != nil {
		return nil, errors.New("its address does not read")
	}
	req, err := c.request(ctx, http.MethodGet, at.Scheme+"://"+at.Host, at.RequestURI(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.set.HTTP.Do(req)
	if err != nil {
		return nil, errors.New("the download broke off; its address has a token and is not shown")
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the download ended with HTTP %d: the address is good for 5 minutes, ask again", answer.StatusCode)
	}
	file, err := io.ReadAll(io.LimitReader(answer.Body, maxBill+1))
	if err != nil {
		return nil, err
	}
	if len(file) > maxBill {
		return nil, fmt.Errorf("it is longer than %d bytes", maxBill)
	}
	if got := sha1.Sum(file); subtle.ConstantTimeCompare(got[:], want) != 1 {
		return nil, fmt.Errorf("its SHA-1 is %x and should be %x: the file is not whole", got, want)
	}
	return file, nil
}

// The columns that are read, and those of the summary that they must add up to.
const (
	colTime      = "交易时间"
	colMerchant  = "商户号"
	colID        = "微信订单号"
	colNumber    = "商户订单号"
	colState     = "交易状态"
	colCurrency  = "货币种类"
	colRefundID  = "微信退款单号"
	colRefundNo  = "商户退款单号"
	colRefundSt  = "退款状态"
	colFee       = "手续费"
	colOrder     = "订单金额"
	colRefund    = "申请退款金额"
	sumCount     = "总交易单数"
	sumFee       = "手续费总金额"
	sumOrder     = "订单总金额"
	sumRefund    = "申请退款总金额"
	refundFailed = "FAIL"
)

// ParseBill reads a trade bill of kind ALL. A row of another merchant, a sum that does not fit or a row that does not read refuses the
// whole file: a bill that is half right is somebody else's, or no bill.
func ParseBill(file []byte, merchant string) ([]channel.BillRow, error) {
	lines, err := linesOf(file)
	if err != nil {
		return nil, err
	}
	head, err := columns(lines[0], colTime, colMerchant, colID, colNumber, colState, colCurrency, colRefundID, colRefundNo, colRefundSt, colFee, colOrder, colRefund)
	if err != nil {
		return nil, fmt.Errorf("its head: %w", err)
	}
	foot, err := columns(lines[len(lines)-2], sumCount, sumFee, sumOrder, sumRefund)
	if err != nil {
		return nil, fmt.Errorf("its sums: %w", err)
	}
	var rows []channel.BillRow
	var t tally
	for i, line := range lines[1 : len(lines)-2] {
		f, err := head.fields(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		if got := f(colMerchant); got != merchant {
			return nil, fmt.Errorf("line %d is of merchant %s, and ours is %s: it is another merchant's bill, and nothing of it is taken", i+2, got, merchant)
		}
		row, kept, err := readRow(f, &t)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		if kept {
			rows = append(rows, row)
		}
	}
	if err := t.check(foot, lines[len(lines)-1]); err != nil {
		return nil, err
	}
	return rows, nil
}

func linesOf(file []byte) ([]string, error) {
	lines := strings.Split(strings.ReplaceAll(string(bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))), "\r\n", "\n"), "\n")
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if len(lines) < 3 {
		return nil, errors.New("it has no head, or no sums: it is not whole")
	}
	return lines, nil
}

// tally is what the rows add up to. Fees have five decimals, so they are counted in thousandths of a fen.
type tally struct{ count, fee, order, refund int64 }

func (t *tally) check(foot table, line string) error {
	f, err := foot.fields(line)
	if err != nil {
		return fmt.Errorf("its sums: %w", err)
	}
	for _, s := range []struct {
		name string
		sum  int64
	}{{sumFee, t.fee}, {sumOrder, t.order}, {sumRefund, t.refund}} {
		said, err := yuan(f(s.name))
		if err != nil {
			return fmt.Errorf("its sums: %s: %w", s.name, err)
		}
		if said != s.sum {
			return fmt.Errorf("its rows add up to %s in %s, and its sum says %s: the file is not whole", fenOf(s.sum), s.name, f(s.name))
		}
	}
	if f(sumCount) != fmt.Sprint(t.count) {
		return fmt.Errorf("it has %d rows, and its sum says %s: the file is not whole", t.count, f(sumCount))
	}
	return nil
}

func readRow(f func(string) string, t *tally) (row channel.BillRow, kept bool, err error) {
	fee, errFee := yuan(f(colFee))
	order, errOrder := yuan(f(colOrder))
	back, errBack := yuan(f(colRefund))
	at, errAt := time.ParseInLocation(time.DateTime, f(colTime), Zone)
	if err := errors.Join(errFee, errOrder, errBack, errAt); err != nil {
		return row, false, err
	}
	t.count++
	t.fee, t.order, t.refund = t.fee+fee, t.order+order, t.refund+back
	if order < 0 || back < 0 || max(t.order, t.refund, t.fee, -t.fee) > maxYuan {
		return row, false, errors.New("an amount is out of range")
	}
	row = channel.BillRow{Number: f(colNumber), ChannelID: f(colID), Fee: fenOf(fee), At: at}
	amount := order
	switch state := f(colState); state {
	case "SUCCESS":
		row.Kind = channel.OfPayment
	case "REFUND", "REVOKED":
		row.Kind, row.Of = channel.OfRefund, row.Number
		amount = back
		// A payment code that was reversed has no refund number: the payment's stands for it.
		if no := f(colRefundNo); no != "" && no != "0" {
			row.Number, row.ChannelID = no, f(colRefundID)
		}
	default:
		return row, false, fmt.Errorf("state %q is not known", state)
	}
	row.Money = channel.Money{Amount: fenOf(amount), Currency: f(colCurrency)}
	return row, f(colRefundSt) != refundFailed, nil
}

// table knows where the columns of a head stand.
type table struct {
	at    map[string]int
	count int
}

func columns(head string, needed ...string) (table, error) {
	names := strings.Split(head, ",")
	t := table{at: map[string]int{}, count: len(names)}
	for _, n := range needed {
		i := slices.Index(names, n)
		if i < 0 {
			return table{}, fmt.Errorf("the column %s is missing", n)
		}
		t.at[n] = i
	}
	return t, nil
}

// fields splits a row. Each field starts with a back-tick, which keeps a comma in a product's name apart from one between fields.
func (t table) fields(line string) (func(string) string, error) {
	line, ok := strings.CutPrefix(line, "`")
	if !ok {
		return nil, errors.New("it does not start with a back-tick")
	}
	all := strings.Split(line, ",`")
	if len(all) != t.count {
		return nil, fmt.Errorf("it has %d fields, and the head has %d", len(all), t.count)
	}
	return func(name string) string { return strings.TrimSpace(all[t.at[name]]) }, nil
}

// perFen is how many units of a bill's smallest decimal a fen has: amounts are in yuan with up to five decimals.
const perFen = 1000

// maxYuan keeps sums far from overflow: it is 10 billion yuan, in those units.
const maxYuan = 10_000_000_000 * 100 * perFen

// yuan reads an amount in yuan, in 1/100000 of one.
func yuan(s string) (int64, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, part, _ := strings.Cut(digits, ".")
	if whole == "" || len(whole) > 10 || len(part) > 5 {
		return 0, fmt.Errorf("%q is no amount in yuan", s)
	}
	n := int64(0)
	for _, c := range whole + part + "00000"[len(part):] {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is no amount in yuan", s)
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, nil
}

// fenOf rounds to a fen, half away from zero.
func fenOf(n int64) money.Amount {
	half := int64(perFen / 2)
	if n < 0 {
		half = -half
	}
	return money.Minor((n + half) / perFen)
}
