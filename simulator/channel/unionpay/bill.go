package unionpay

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	adapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
)

// FileAfter is when a day's file is there: at nine the next morning.
const FileAfter = 33 * time.Hour

// FeePerMille is what UnionPay takes of a payment, rounded half up to a fen.
const FeePerMille = 6

// flaw is an error item: a pay-out that the bank sent back later.
type flaw struct {
	of *txn
	at time.Time
}

// ReturnPayout has the bank send a pay-out back now, after it was a success. UnionPay tells it only in the file of error items.
func (s *Sim) ReturnPayout(order string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.order {
		if t.order == order && t.kind == "12" && t.code == "00" {
			t.card.Balance -= t.amount
			s.balance += t.amount
			s.flaws = append(s.flaws, flaw{t, s.c.Clock.Now()})
		}
	}
}

// file answers a request for the files of a settlement day, MMDD of the last twelve months.
func (s *Sim) file(f adapter.Form) adapter.Form {
	day, ok := lastDay(f["settleDate"], s.c.Clock.Now().In(adapter.Zone))
	if !ok || s.c.Clock.Now().Before(day.Add(FileAfter)) {
		return answer(f, "98", "the file does not exist")
	}
	name := "INN" + day.Format("060102") + "88"
	out := answer(f, "00", "ok")
	out["fileName"] = s.c.Merchant + "_" + day.Format("20060102") + ".zip"
	out["fileContent"] = base64.StdEncoding.EncodeToString(pack(
		name+"ZM_"+s.c.Merchant, s.normalRows(day.Format("20060102")),
		name+"ZME_"+s.c.Merchant, s.flawRows(day.Format("20060102"))))
	return out
}

// lastDay finds the last day of that month and day that has begun.
func lastDay(mmdd string, now time.Time) (time.Time, bool) {
	for _, year := range []int{now.Year(), now.Year() - 1} {
		day, err := time.ParseInLocation("20060102", strconv.Itoa(year)+mmdd, adapter.Zone)
		if err == nil && !day.After(now) {
			return day, true
		}
	}
	return time.Time{}, false
}

// pack makes a zip of named files, and deflates it once more, as the file server does.
func pack(files ...string) []byte {
	var archive, out bytes.Buffer
	z := zip.NewWriter(&archive)
	for i := 0; i+1 < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err == nil {
			_, err = w.Write([]byte(files[i+1]))
		}
		if err != nil {
			panic(err) // a buffer in memory
		}
	}
	_ = z.Close()
	d := zlib.NewWriter(&out)
	_, _ = d.Write(archive.Bytes())
	_ = d.Close()
	return out.Bytes()
}

// merchantName is a column of GBK: 测试 in four bytes.
const merchantName = "\xb2\xe2\xca\xd4"

var zmCode = map[string]string{"01": "S22", "11": "S22", "04": "S30", "31": "S23", "12": "S45"}

func (s *Sim) normalRows(day string) string {
	var b strings.Builder
	for _, t := range s.order {
		if t.code != "00" || settleDay(t.done) != day {
			continue
		}
		local := t.done.In(adapter.Zone).Format("0102150405")
		kind := t.kind
		account, origTrace, origTime, origQuery, sign := "", "", "", "", "C"
		if t.card != nil {
			account = mask(t.card.Number)
		}
		if t.orig != nil {
			origTrace, origTime, origQuery = fmt.Sprintf("%06d", t.orig.trace), t.orig.done.In(adapter.Zone).Format("0102150405"), t.orig.queryID
		}
		if kind != "01" && kind != "11" {
			sign = "D"
		}
		fee := t.fee()
		net := t.amount - fee
		if sign == "D" {
			net = t.amount + fee
		}
		b.WriteString(row(adapter.Normal, zmCode[kind], "48020000", "00049992", fmt.Sprintf("%06d", t.trace), local, account, fmt.Sprintf("%012d", t.amount),
			"5311", "08", t.queryID, "01", t.order, "01", origTrace, origTime, fmt.Sprintf("D%012d", fee), fmt.Sprintf("%s%012d", sign, net), "0001", "",
			t.form["txnType"], t.form["txnSubType"], t.form["bizType"], "01", "", "", "0", origQuery, s.c.Merchant, "0", "", merchantName))
	}
	return b.String()
}

func (s *Sim) flawRows(day string) string {
	var b strings.Builder
	for _, f := range s.flaws {
		if settleDay(f.at) != day {
			continue
		}
		// The trace time by which an error item names its original is the one in the queryId.
		asked := f.of.queryID[4:14]
		b.WriteString(row(adapter.Flawed, "E84", "48020000", "00049992", fmt.Sprintf("%06d", f.of.trace), f.at.In(adapter.Zone).Format("0102150405"), mask(f.of.card.Number),
			fmt.Sprintf("%012d", f.of.amount), "5311", "08", "01", fmt.Sprintf("%06d", f.of.trace), asked, "4531", fmt.Sprintf("%012d", 0), fmt.Sprintf("D%012d", 0),
			fmt.Sprintf("C%012d", f.of.amount), s.c.Merchant))
	}
	return b.String()
}

// fee of a transaction. What is given back takes no fee and returns none.
func (t *txn) fee() int64 {
	if t.kind != "01" && t.kind != "11" {
		return 0
	}
	return (t.amount*FeePerMille + 500) / 1000
}

func mask(number string) string {
	if len(number) < 10 {
		return ""
	}
	return number[:6] + strings.Repeat("*", len(number)-10) + number[len(number)-4:]
}

// row lays out columns of fixed widths in bytes, a blank after each, and ends the line.
func row(widths []int, columns ...string) string {
	var b strings.Builder
	for i, w := range widths {
		text := ""
		if i < len(columns) {
			text = columns[i]
		}
		b.WriteString(text + strings.Repeat(" ", w-len(text)+1))
	}
	return b.String() + "\r\n"
}
