package books

import (
	"fmt"
	"slices"
	"strings"

	"github.com/purselane/purselane/internal/money"
)

// Subject is one line of the chart of accounts. Its code says where it stands: "2" is a first subject, "22" a second under it,
// "221" a third under that. Accounts are the details of third subjects, and a third subject is the type of its accounts.
type Subject struct {
	Code string
	Name string
}

// Level is 1, 2 or 3.
func (s Subject) Level() int { return len(s.Code) }

// Chart is every subject, by code. It is an outside contract: a code is never given a new meaning.
var Chart = []Subject{
	{"1", "assets"},
	{"11", "money at banks"},
	{"111", "trust account"},
	{"112", "other own accounts"},
	{"12", "receivable"},
	{"121", "loads sold by acquirers"},
	{"122", "payment channels"},
	{"123", "fees of merchants, taken once a month"},
	{"2", "liabilities"},
	{"21", "holders"},
	{"211", "value on cards"},
	{"212", "loads in progress"},
	{"213", "paid, not on the way to a card"},
	{"214", "balances"},
	{"22", "merchants"},
	{"221", "pending"},
	{"222", "available"},
	{"223", "held"},
	{"23", "state"},
	{"231", "taxes taken"},
	{"3", "clearing"},
	{"31", "acquirers"},
	{"311", "position"},
	{"32", "banks"},
	{"321", "payments on the way"},
	{"4", "suspense"},
	{"41", "taps"},
	{"411", "outcome unknown"},
	{"412", "second debits of a counter"},
	{"413", "proof does not verify"},
	{"414", "came too late"},
	{"419", "other"},
	{"42", "accounts"},
	{"421", "set aside for a frozen account"},
	{"5", "income"},
	{"51", "fees"},
	{"511", "of merchants"},
	{"519", "other"},
	{"52", "arithmetic"},
	{"521", "rounding"},
	{"6", "expense"},
	{"61", "fees"},
	{"611", "of payment channels"},
	{"62", "losses"},
	{"621", "taps paid for without proof"},
	{"622", "taps given back to holders"},
}

// classOf are the classes of the first subjects.
var classOf = map[byte]Class{'1': Asset, '2': Liability, '3': Clearing, '4': Suspense, '5': Income, '6': Expense}

// TypeOf reads the type of an account out of its name: the code of its third subject. Error: [ErrNoAccount].
func TypeOf(a Account) (string, error) {
	if of, found := strings.CutPrefix(string(a), asidePrefix); found {
		if _, err := TypeOf(Account(of)); err != nil || strings.HasPrefix(of, asidePrefix) {
			return "", fmt.Errorf("%q: %w", a, ErrNoAccount)
		}
		return "421", nil
	}
	part := strings.Split(string(a), ":")
	last := part[len(part)-1]
	if slices.Contains(part, "") {
		return "", fmt.Errorf("%q: %w", a, ErrNoAccount)
	}
	switch {
	case a == Trust:
		return "111", nil
	case part[0] == "bank" && len(part) == 2:
		return "112", nil
	case part[0] == "acquirer" && len(part) == 3 && last == "sold-loads":
		return "121", nil
	case part[0] == "channel" && len(part) == 2:
		return "122", nil
	case part[0] == "merchant" && len(part) == 3 && last == "fees-due":
		return "123", nil
	case a == Float:
		return "211", nil
	case a == LoadInProgress:
		return "212", nil
	case a == Funding:
		return "213", nil
	case part[0] == "holder" && len(part) == 3 && last == "balance":
		return "214", nil
	case part[0] == "merchant" && len(part) == 3 && last == "pending":
		return "221", nil
	case part[0] == "merchant" && len(part) == 3 && last == "available":
		return "222", nil
	case part[0] == "merchant" && len(part) == 3 && last == "held":
		return "223", nil
	case part[0] == "tax" && len(part) == 2:
		return "231", nil
	case part[0] == "acquirer" && len(part) == 3 && last == "clearing":
		return "311", nil
	case a == BankTransit:
		return "321", nil
	case a == SuspUnknown:
		return "411", nil
	case a == SuspClone:
		return "412", nil
	case a == SuspBadTAC:
		return "413", nil
	case a == SuspExpired:
		return "414", nil
	case part[0] == "suspense" && len(part) == 2:
		return "419", nil
	case a == Rounding:
		return "521", nil
	case a == LossGranted:
		return "621", nil
	case a == LossGoodwill:
		return "622", nil
	case part[0] == "fee" && len(part) >= 2 && part[1] == "channel":
		return "611", nil
	case part[0] == "fee" && len(part) >= 2 && part[1] == "merchant":
		return "511", nil
	case part[0] == "fee" && len(part) >= 2:
		return "519", nil
	}
	return "", fmt.Errorf("%q: %w", a, ErrNoAccount)
}

// ClassOf reads the class out of an account's name. Error: [ErrNoAccount].
func ClassOf(a Account) (Class, error) {
	t, err := TypeOf(a)
	if err != nil {
		return "", err
	}
	return classOf[t[0]], nil
}

// External reports whether the truth about an account stands elsewhere: at the bank, at a payment channel. Our entries on it are a mirror,
// so it has a turnover, and a balance only in the statement of whoever keeps it.
func External(a Account) bool {
	t, err := TypeOf(a)
	return err == nil && (t == "111" || t == "112" || t == "122")
}

const asidePrefix = "suspense:frozen:"

// Aside is where an entry's line for a frozen account goes when what it tells has happened already and cannot be refused: a debit
// that a card has made is owed whatever was done to the merchant's row.
func Aside(a Account) Account { return asidePrefix + a }

// Meant is the account that a line was meant for: of one set aside, the frozen one.
func Meant(a Account) Account { return Account(strings.TrimPrefix(string(a), asidePrefix)) }

// Row is one line of a rolled-up chart: a subject, or at level 4 an account.
type Row struct {
	Code    string // of the subject; of an account that of its third subject
	Name    string
	Level   int
	Account Account // level 4 only
	Amount  money.Amount
}

// RollUp adds the balances of accounts up through the chart: each control line is the sum of the lines one level below it. Subjects without
// accounts are left out. Errors: [ErrNoAccount], [money.ErrOverflow].
func RollUp(all []Balance) ([]Row, error) {
	details := map[string][]Row{}
	sum := map[string]money.Amount{}
	for _, b := range all {
		t, err := TypeOf(b.Account)
		if err != nil {
			return nil, err
		}
		details[t] = append(details[t], Row{Code: t, Name: string(b.Account), Level: 4, Account: b.Account, Amount: b.Amount})
		for level := 1; level <= len(t); level++ {
			if sum[t[:level]], err = sum[t[:level]].Add(b.Amount); err != nil {
				return nil, fmt.Errorf("subject %s: %w", t[:level], err)
			}
		}
	}
	var out []Row
	for _, s := range Chart {
		total, used := sum[s.Code]
		if !used {
			continue
		}
		out = append(out, Row{Code: s.Code, Name: s.Name, Level: s.Level(), Amount: total})
		rows := details[s.Code]
		slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.Name, b.Name) })
		out = append(out, rows...)
	}
	return out, nil
}
