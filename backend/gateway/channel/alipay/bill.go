package alipay

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/purselane/purselane/backend/gateway/channel"
	"github.com/purselane/purselane/internal/money"
)

// billLate is how long after the day's end a bill that is not there may still come: as a rule it is there by 10:00 of the next day. Alipay
// makes none of a day without payments and says the same of both.
const billLate = 24 * time.Hour

const (
	maxBill     = 64 << 20  // of the archive
	maxUnpacked = 512 << 20 // of all that is read from it: about two million rows
)

// noBill says that there is no bill of the day, or none yet.
const noBill = "isp.bill_not_exist"

// Bill reads the trade bill of a day: each payment and refund, amounts as they were ordered. Who pays out has his transfers from the account bill. The whole
// of each file is checked before the first row is given out: whose it is, of which day, and its sums. Alipay neither signs them nor gives a digest.
func (c *Channel) Bill(ctx context.Context, day string, each func(channel.BillRow) error) error {
	rows, err := c.file(ctx, day, "trade", ParseBill)
	if err == nil && c.set.Transfers {
		var out []channel.BillRow
		out, err = c.file(ctx, day, "signcustomer", ParseTransfers)
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
func (c *Channel) file(ctx context.Context, day, kind string, parse func([]byte, string, time.Time) ([]channel.BillRow, error)) ([]channel.BillRow, error) {
	date, err := time.ParseInLocation(time.DateOnly, day, Zone)
	if err != nil {
		return nil, fmt.Errorf("Alipay: %.20q is no day: write YYYY-MM-DD", day)
	}
	var out struct {
		URL string `json:"bill_download_url"`
	}
	no, err := c.call(ctx, methodBill, map[string]string{"bill_type": kind, "bill_date": day}, "", &out)
	switch {
	case err != nil:
		return nil, fmt.Errorf("Alipay: bill of %s: %w", day, err)
	case no != nil && no.name() == noBill && c.set.Now().Before(date.AddDate(0, 0, 1).Add(billLate)):
		return nil, channel.ErrNoBillYet
	case no != nil && no.name() == noBill:
		return nil, nil
	case no != nil:
		return nil, fmt.Errorf("Alipay: bill of %s: %s: %s", day, no.name(), no.SubText)
	}
	archive, err := c.download(ctx, out.URL)
	if err != nil {
		return nil, fmt.Errorf("Alipay: bill of %s: %w", day, err)
	}
	rows, err := parse(archive, c.set.SellerID, date)
	if err != nil {
		return nil, fmt.Errorf("Alipay: bill of %s: %w", day, err)
	}
	return rows, nil
}

// download fetches the archive at once: its address is good for 30 seconds.
func (c *Channel) download(ctx context.Context, from string) ([]byte, error) {
	at, err := url.Parse(from)
	if err != nil || at.Scheme != "https" {
		return nil, errors.New("its address does not read, or is not https")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return nil, errors.New("its address does not read")
	}
	answer, err := c.set.HTTP.Do(req)
	if err != nil {
		return nil, errors.New("the download broke off; its address has a token and is not shown")
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the download ended with HTTP %d: the address is good for 30 seconds, ask again", answer.StatusCode)
	}
	file, err := io.ReadAll(io.LimitReader(answer.Body, maxBill+1))
	if err != nil {
		return nil, errors.New("the download broke off; its address has a token and is not shown")
	}
	if len(file) > maxBill {
		return nil, fmt.Errorf("it is longer than %d bytes", maxBill)
	}
	return file, nil
}

// The columns that are read, and the lines around the rows.
const (
	colID       = "支付宝交易号"
	colNumber   = "商户订单号"
	colKind     = "业务类型"
	colDone     = "完成时间"
	colOrder    = "订单金额(元)"
	colReceived = "商家实收(元)"
	colRefund   = "退款批次号/请求号"
	colFee      = "服务费(元)"

	title    = "#支付宝业务明细查询"
	rowsEnd  = "业务明细列表结束"
	payment  = "交易"
	refunded = "退款"
)

var (
	accountLine = regexp.MustCompile(`^#账号:\[(\d{16})(?:0156)?\]$`) // the seller's number, and the kind of its account
	daysLine    = regexp.MustCompile(`^#起始日期:\[([^\]]*)\]\s*终止日期:\[([^\]]*)\]$`)
	paySum      = regexp.MustCompile(`^#+交易合计:(\d{1,9})笔,商家实收共(-?[\d.]+)元`)
	refundSum   = regexp.MustCompile(`^#+退款合计:(\d{1,9})笔,商家实收退款共(-?[\d.]+)元`)
)

// plain writes the head and the lines with # in one way: Alipay's own files differ in full-width and plain signs.
var plain = strings.NewReplacer("（", "(", "）", ")", "：", ":", "，", ",", "［", "[", "］", "]")

// ParseBill reads the archive with the trade bill of a day. A file of another seller or day, a sum that does not fit or a row that does not
// read refuses it as a whole: a bill that is half right is somebody else's, or no bill.
func ParseBill(archive []byte, seller string, day time.Time) ([]channel.BillRow, error) {
	lines, err := unpack(archive, title)
	if err != nil {
		return nil, err
	}
	at := 0
	next := func() string {
		if at >= len(lines) {
			return ""
		}
		at++
		return strings.TrimSpace(lines[at-1])
	}
	next() // the title, by which the file was found
	if err := headed(next(), next(), seller, day); err != nil {
		return nil, err
	}
	next() // a line of dashes
	head, err := columns(plain.Replace(next()), colID, colNumber, colKind, colDone, colOrder, colReceived, colRefund, colFee)
	if err != nil {
		return nil, fmt.Errorf("its head: %w", err)
	}
	var rows []channel.BillRow
	var t tally
	for {
		line := next()
		if strings.HasPrefix(line, "#") && strings.Contains(line, rowsEnd) {
			break
		}
		row, err := head.row(line, &t)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", at, err)
		}
		rows = append(rows, row)
	}
	if err := t.check(plain.Replace(next()), plain.Replace(next())); err != nil {
		return nil, err
	}
	return rows, nil
}

// headed checks the two lines that say whose a bill is and of which day.
func headed(account, days, seller string, day time.Time) error {
	const date = "2006年01月02日 15:04:05"
	if m := accountLine.FindStringSubmatch(plain.Replace(account)); m == nil || m[1] != seller {
		return fmt.Errorf("it is not of seller %s but another's (%.60q), and nothing of it is taken", seller, account)
	}
	if m := daysLine.FindStringSubmatch(plain.Replace(days)); m == nil || m[1] != day.Format(date) || m[2] != day.AddDate(0, 0, 1).Format(date) {
		return fmt.Errorf("it is not of that day alone (%.120q)", days)
	}
	return nil
}

// unpack finds the file with the rows in the archive (another one has totals by shop) and decodes it. It is found by its title, for the
// names in the archive are in GBK.
func unpack(archive []byte, title string) ([]string, error) {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("it is no zip: %w", err)
	}
	left := int64(maxUnpacked)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("it does not unpack: %w", err)
		}
		raw, err := io.ReadAll(io.LimitReader(r, left+1))
		r.Close()
		if err != nil {
			return nil, fmt.Errorf("it does not unpack: %w", err)
		}
		if left -= int64(len(raw)); left < 0 {
			return nil, fmt.Errorf("it unpacks to more than %d bytes", maxUnpacked)
		}
		text, err := simplifiedchinese.GBK.NewDecoder().Bytes(raw)
		if err != nil {
			return nil, fmt.Errorf("it is not in GBK: %w", err)
		}
		lines := strings.Split(string(text), "\n")
		if strings.TrimSpace(lines[0]) == title {
			return lines, nil
		}
	}
	return nil, fmt.Errorf("no file in it starts with %s", title)
}

// tally is what the rows add up to, in fen.
type tally struct {
	payments, refunds int
	received, back    money.Amount
}

// check holds the rows to the sums at the file's end.
func (t tally) check(pay, back string) error {
	for _, s := range []struct {
		name  string
		said  []string
		count int
		sum   money.Amount
	}{{payment, paySum.FindStringSubmatch(pay), t.payments, t.received}, {refunded, refundSum.FindStringSubmatch(back), t.refunds, t.back}} {
		if s.said == nil {
			return fmt.Errorf("the sum of %s is missing: the file is not whole", s.name)
		}
		if s.said[1] != fmt.Sprint(s.count) {
			return fmt.Errorf("it has %d rows of %s, and its sum says %s: the file is not whole", s.count, s.name, s.said[1])
		}
		sum, err := money.Parse(s.said[2])
		if err != nil {
			return fmt.Errorf("the sum of %s: %w", s.name, err)
		}
		if sum != s.sum {
			return fmt.Errorf("its rows of %s add up to %s, and its sum says %s: the file is not whole", s.name, s.sum, sum)
		}
	}
	return nil
}

// table knows where the columns of a head stand.
type table struct {
	at    map[string]int
	count int
}

func columns(head string, wanted ...string) (table, error) {
	names := strings.Split(head, ",")
	t := table{at: map[string]int{}, count: len(names)}
	for _, n := range wanted {
		i := slices.Index(names, n)
		if i < 0 {
			return table{}, fmt.Errorf("the column %s is missing", n)
		}
		t.at[n] = i
	}
	return t, nil
}

func (t table) fields(line string) (func(name string) string, error) {
	fields := strings.Split(line, ",")
	if len(fields) != t.count {
		return nil, fmt.Errorf("it has %d fields, and the head has %d: the file is not whole", len(fields), t.count)
	}
	return func(name string) string { return strings.TrimSpace(fields[t.at[name]]) }, nil
}

// row reads a row and counts it. The amounts of a refund are negative, and so is a fee that the merchant pays.
func (t table) row(line string, sums *tally) (channel.BillRow, error) {
	f, err := t.fields(line)
	if err != nil {
		return channel.BillRow{}, err
	}
	ordered, errOrder := money.Parse(f(colOrder))
	received, errReceived := money.Parse(f(colReceived))
	fee, errFee := money.Parse(f(colFee))
	at, errAt := moment(f(colDone))
	if err := errors.Join(errOrder, errReceived, errFee, errAt); err != nil {
		return channel.BillRow{}, err
	}
	if at.IsZero() || f(colNumber) == "" || f(colID) == "" {
		return channel.BillRow{}, errors.New("a number or the time is missing")
	}
	row := channel.BillRow{Number: f(colNumber), ChannelID: f(colID), At: at}
	switch kind := f(colKind); kind {
	case payment:
		row.Kind, sums.payments = channel.OfPayment, sums.payments+1
		sums.received, err = sums.received.Add(received)
	case refunded:
		row.Kind, row.Of, sums.refunds = channel.OfRefund, row.Number, sums.refunds+1
		if no := f(colRefund); no != "" { // without one the payment was cancelled, and its number stands for the refund's
			row.Number = no
		}
		var errBack error
		sums.back, err = sums.back.Add(received)
		ordered, errBack = ordered.Neg()
		err = errors.Join(err, errBack)
	default:
		return channel.BillRow{}, fmt.Errorf("%q is no payment and no refund", kind)
	}
	var errCost error
	row.Fee, errCost = fee.Neg()
	if err := errors.Join(err, errCost); err != nil {
		return channel.BillRow{}, err
	}
	if ordered.Sign() <= 0 {
		return channel.BillRow{}, fmt.Errorf("the amount %s is of the wrong sign", f(colOrder))
	}
	row.Money = channel.Money{Amount: ordered, Currency: currency}
	return row, nil
}
