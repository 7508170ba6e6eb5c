package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/purselane/purselane/backend/store"
	"github.com/purselane/purselane/backend/topup"
	"github.com/purselane/purselane/internal/money"
	"github.com/purselane/purselane/shadowaccount/books"
)

// adder adds amounts and keeps the first overflow: sums that a proof cannot make are an error, not a fault of the books.
type adder struct{ err error }

func (a *adder) sum(all ...money.Amount) money.Amount {
	total, err := money.Sum(all...)
	a.err = errors.Join(a.err, err)
	return total
}

func (a *adder) neg(m money.Amount) money.Amount {
	n, err := m.Neg()
	a.err = errors.Join(a.err, err)
	return n
}

// trialBalance: all balances sum to zero, and roll up through the chart.
func trialBalance(_ context.Context, _ *store.Tx, b bookState) (Check, error) {
	c := Check{Name: "trial-balance", Says: "all balances together are zero",
		Do: "stop settling; `purselane books verify` names the entry or the account that is off"}
	rows, err := books.RollUp(b.all)
	if err != nil {
		return c, err
	}
	for _, r := range rows {
		if r.Level == 3 {
			c.Figures = append(c.Figures, Figure{r.Code + " " + r.Name, r.Amount})
		}
	}
	total, err := books.Total(b.all)
	c.Figures = append(c.Figures, Figure{"total", total})
	if !total.IsZero() {
		c.Faults = append(c.Faults, fmt.Sprintf("off by %v", total))
	}
	return c, err
}

// entries: every entry sums to zero and is what was posted.
func entries(ctx context.Context, tx *store.Tx, _ bookState) (c Check, err error) {
	c = Check{Name: "entries", Says: "every entry sums to zero and is what was posted under its id",
		Do: "the journal was changed after it was written: compare with the last backup whose proof passed, and find who has access"}
	c.Faults, err = tx.VerifyJournal(ctx)
	return c, err
}

// accounts: every row is what its lines say, and sealed.
func accounts(ctx context.Context, tx *store.Tx, _ bookState) (c Check, err error) {
	c = Check{Name: "accounts", Says: "every account holds what its lines in the journal say, and its row is sealed",
		Do: "the account is frozen; find who changed it, then `purselane books release ACCOUNT` makes its balance anew from the journal"}
	if !tx.KnowsSeals() {
		c.Says = "every account holds what its lines in the journal say; THE SEALS WERE NOT LOOKED AT, for want of the key"
	}
	c.Faults, err = tx.VerifyAccounts(ctx)
	return c, err
}

// holds: what is promised to somebody is as it was promised.
func holds(ctx context.Context, tx *store.Tx, _ bookState) (Check, error) {
	c := Check{Name: "holds", Says: "every hold is as it was written, what settled it took no more, and each open reservation of a balance has its hold",
		Do: "a hold was changed by hand: compare it with the payment that it is for, with two people looking"}
	if !tx.KnowsSeals() {
		c.Says += "; THE SEALS WERE NOT LOOKED AT, for want of the key"
	}
	held, err := tx.OpenHoldSum(ctx)
	if err != nil {
		return c, err
	}
	c.Figures = []Figure{{"held", held}}
	c.Faults, err = tx.VerifyHolds(ctx)
	return c, err
}

// shadows: the cards' accounts are what made them, and the float is their sum.
func shadows(ctx context.Context, tx *store.Tx, b bookState) (Check, error) {
	c := Check{Name: "shadows", Says: "each shadow account is the card's loads less its taps, and float is the sum of them",
		Do: "look at the card with `purselane card show`; a row that was changed by hand is put right by hand, with two people looking"}
	onCards, err := tx.ShadowSum(ctx)
	if err != nil {
		return c, err
	}
	c.Figures = []Figure{{"sum of the shadow accounts", onCards}, {"float", b.of[books.Float]}, {"set aside for float", b.of[books.Aside(books.Float)]}}
	c.Faults, err = tx.VerifyShadows(ctx)
	return c, err
}

// floatIdentity compares what holders are owed, by cards and load orders, with what the books hold for it.
func floatIdentity(ctx context.Context, tx *store.Tx, b bookState) (Check, error) {
	c := Check{Name: "float-identity", Says: "cards + in flight + funding = trust + receivables + clearing + suspense - payables - earned",
		Do: "one side moved without the other: compare each figure with the proof of the day before"}
	cards, err := tx.ShadowSum(ctx)
	if err != nil {
		return c, err
	}
	var orders [3]money.Amount
	for i, state := range []topup.State{topup.Paid, topup.InProgress, topup.Uncertain} {
		if orders[i], err = tx.OrderSum(ctx, string(state)); err != nil {
			return c, err
		}
	}
	var add adder
	var bank, receivable, clearing, suspense, payable, earned money.Amount
	for _, x := range b.all {
		holders := books.Meant(x.Account)
		switch {
		case holders == books.Float || holders == books.LoadInProgress || holders == books.Funding || x.Account == books.Trust:
			// What is set aside for holders is theirs.
			if x.Account == books.Trust || holders == x.Account {
				continue
			}
			cards = add.sum(cards, x.Amount)
		case ownBank(x.Account):
			bank = add.sum(bank, x.Amount)
		case x.Class == books.Asset:
			receivable = add.sum(receivable, x.Amount)
		case x.Class == books.Clearing:
			clearing = add.sum(clearing, x.Amount)
		case x.Class == books.Suspense:
			suspense = add.sum(suspense, x.Amount)
		case x.Class == books.Liability:
			payable = add.sum(payable, add.neg(x.Amount))
		default:
			earned = add.sum(earned, add.neg(x.Amount))
		}
	}
	inFlight := add.sum(orders[1], orders[2])
	left := add.sum(cards, inFlight, orders[0])
	bank = add.sum(bank, b.of[books.Trust])
	right := add.sum(bank, receivable, clearing, suspense, add.neg(payable), add.neg(earned))
	c.Figures = []Figure{{"cards", cards}, {"in flight", inFlight}, {"funding", orders[0]}, {"owed to holders", left},
		{"trust", bank}, {"receivables", receivable}, {"clearing", clearing}, {"suspense", suspense}, {"payables", payable}, {"earned", earned}, {"held for holders", right}}
	off := add.sum(left, add.neg(right))
	if !off.IsZero() {
		c.Faults = append(c.Faults, fmt.Sprintf("off by %v", off))
	}
	return c, add.err
}

// ownBank reports whether an account mirrors one of ours at a bank, beside the trust account.
func ownBank(a books.Account) bool {
	t, err := books.TypeOf(a)
	return err == nil && t == "112"
}

// clearing: what an acquirer's clearing account holds is what closed days have not been paid, and what lies in transit is on its way through
// the bank; with all paid both are zero.
func clearing(ctx context.Context, tx *store.Tx, b bookState) (Check, error) {
	c := Check{Name: "clearing", Says: "each clearing account holds what is closed and not paid, and nothing once it is paid",
		Do: "compare `purselane settle days` with the bank's statement: a day was paid otherwise than it closed"}
	all, err := tx.Acquirers(ctx)
	if err != nil {
		return c, err
	}
	transit, err := tx.BankInTransit(ctx)
	if err != nil {
		return c, err
	}
	off, err := b.of[books.BankTransit].Add(transit)
	if err != nil {
		return c, err
	}
	c.Figures = append(c.Figures, Figure{string(books.BankTransit), b.of[books.BankTransit]})
	if !off.IsZero() {
		c.Faults = append(c.Faults, fmt.Sprintf("%s: off by %v against the payments on their way", books.BankTransit, off))
	}
	known := map[books.Account]bool{books.BankTransit: true}
	for _, a := range all {
		account := books.AcquirerClearing(a.ID)
		known[account] = true
		unpaid, err := tx.UnpaidNet(ctx, "acquirer", string(a.ID))
		if err != nil {
			return c, err
		}
		c.Figures = append(c.Figures, Figure{string(account), b.of[account]})
		off, err := b.of[account].Add(unpaid)
		if err != nil {
			return c, err
		}
		if !off.IsZero() {
			c.Faults = append(c.Faults, fmt.Sprintf("%s: off by %v against the days that are not paid", account, off))
		}
	}
	for _, x := range b.all {
		if x.Class == books.Clearing && !known[x.Account] && !x.Amount.IsZero() {
			c.Faults = append(c.Faults, fmt.Sprintf("%s: holds %v, and there is no such acquirer", x.Account, x.Amount))
		}
	}
	return c, nil
}

// online: the gateway's orders and the books tell the same of each channel.
func online(ctx context.Context, tx *store.Tx, _ bookState) (Check, error) {
	c := Check{Name: "online", Says: "each payment, refund and pay-out of the gateway has its entry and moved its sum, and nothing else moved the accounts of its channels",
		Do: "compare the order (`purselane channels explain`) with its entry; an entry that no order made was posted by hand: undo it by another, with two people looking"}
	sums, err := tx.GatewayChannelSums(ctx)
	if err != nil {
		return c, err
	}
	for _, s := range sums {
		account := string(books.Channel(s.Channel))
		c.Figures = append(c.Figures, Figure{account + " by orders", s.Orders}, Figure{account + " by entries", s.Books})
		if s.Orders != s.Books {
			c.Faults = append(c.Faults, fmt.Sprintf("%s: orders come to %v, their entries to %v", account, s.Orders, s.Books))
		}
	}
	faults, err := tx.VerifyGateway(ctx)
	c.Faults = append(c.Faults, faults...)
	return c, err
}

// sides: what is owed to holders is never negative.
func sides(_ context.Context, _ *store.Tx, b bookState) (Check, error) {
	c := Check{Name: "sides", Says: "holders, together, owe us nothing",
		Do: "more was spent or loaded than was paid: look at the findings NEGATIVE_SHADOW and at open load orders"}
	for _, a := range []books.Account{books.Float, books.LoadInProgress, books.Funding} {
		c.Figures = append(c.Figures, Figure{string(a), b.of[a]})
		if books.Overdrawn(books.Liability, b.of[a].Sign()) {
			c.Faults = append(c.Faults, fmt.Sprintf("%s: %v stands on the wrong side", a, b.of[a]))
		}
	}
	var balances adder
	var sum money.Amount
	for _, x := range b.all {
		if t, err := books.TypeOf(x.Account); err != nil || t != "214" {
			continue
		}
		sum = balances.sum(sum, x.Amount)
		if books.Overdrawn(books.Liability, x.Amount.Sign()) {
			c.Faults = append(c.Faults, fmt.Sprintf("%s: %v stands on the wrong side", x.Account, x.Amount))
		}
	}
	if !sum.IsZero() {
		c.Figures = append(c.Figures, Figure{"balances of holders", sum})
	}
	return c, balances.err
}

// aside: nothing waits for a frozen account.
func aside(ctx context.Context, tx *store.Tx, _ bookState) (Check, error) {
	c := Check{Name: "set-aside", Says: "nothing is set aside for a frozen account",
		Do: "release the account, or switch it on again and release it: `purselane books release ACCOUNT`"}
	all, err := tx.SetAside(ctx)
	for _, x := range all {
		c.Faults = append(c.Faults, fmt.Sprintf("%v waits for %s", x.Amount, books.Meant(x.Account)))
	}
	return c, err
}

// groups: the chain of posting groups is unbroken.
func groups(ctx context.Context, tx *store.Tx, _ bookState) (c Check, err error) {
	c = Check{Name: "groups", Says: "the chain of posting groups is unbroken, and each group's entry and records are what they were",
		Do: "a record or an entry was changed after it was posted: compare with the last backup whose proof passed"}
	c.Faults, err = tx.VerifyGroups(ctx)
	return c, err
}
