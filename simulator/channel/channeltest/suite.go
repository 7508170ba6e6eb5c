package channeltest

import (
	"testing"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// Run holds an adapter to everything that its channel can do.
func Run(t *testing.T, make Maker) {
	b := make(t)
	caps := b.Channel.Capabilities()
	_, voids := b.Channel.(channel.Voider)
	_, authorises := b.Channel.(channel.Authoriser)
	_, agrees := b.Channel.(channel.Agreements)
	_, paysOut := b.Channel.(channel.Payouts)

	run := func(can bool, name string, test func(*stand)) {
		if can {
			t.Run(name, func(t *testing.T) { test(open(t, make)) })
		}
	}
	t.Run("capabilities tell the truth", func(t *testing.T) { tellsTheTruth(open(t, make)) })

	run(true, "success", success)
	run(true, "decline", decline)
	run(len(b.Codes) > 0, "codes", codes)
	run(true, "query of unknown is missing", unknownPayment)
	run(true, "request lost, then asked again", requestLost)
	run(true, "answer lost, then asked again: charged once", answerLost)
	run(true, "answer lost, then queried", answerLostThenQueried)
	run(true, "done, but answered with an error", doneButAnsweredWithAnError)
	run(true, "same number, another amount", anotherAmount)
	run(true, "unreachable", unreachable)
	run(true, "context ended", contextEnded)
	run(len(b.WrongKeys) > 0, "wrong key is named", wrongKeys)

	notifies := b.Notifier != nil
	run(notifies, "told of a success", toldOfSuccess)
	run(notifies, "timeout, then paid", timeoutThenPaid)
	run(notifies, "notified twice", notifiedTwice)
	run(notifies, "not accepted comes again", notAccepted)
	run(notifies, "lost comes again", notificationLost)
	run(notifies, "notified before the answer", notifiedBeforeTheAnswer)
	run(notifies, "forged changes nothing", forged)
	run(notifies, "re-encoded by a proxy", reencoded)

	run(caps.Close, "close, then nobody can pay", closed)
	run(caps.Close, "close of a paid one", closeOfPaid)
	run(caps.Close, "close of unknown", closeOfUnknown)
	run(caps.Close, "paid after it was closed", lateSuccess)

	run(caps.Refund, "refund in parts", refundInParts)
	run(caps.Refund, "same refund again", sameRefundAgain)
	run(caps.Refund, "refund answer lost", refundAnswerLost)
	run(caps.Refund, "refund, same number, another amount", refundAnotherAmount)
	run(caps.Refund, "over-refund", overRefund)
	run(caps.Refund, "refund of unknown", refundOfUnknown)
	run(caps.Refund, "query of an unknown refund is missing", unknownRefund)

	run(caps.Void && voids, "void", void)
	run(caps.Authorise && authorises, "authorise, capture a part", captureAPart)
	run(caps.Authorise && authorises, "authorise, capture too much", captureTooMuch)
	run(caps.Authorise && authorises, "authorise, release", releaseAll)
	run(caps.Agreements && agrees && b.Sign != nil, "agreement", agreement)
	signs := caps.Agreements && agrees && b.Sign != nil
	debits := signs && b.Debit != nil
	run(debits && b.EndThere != nil, "agreement ended at the channel is found by asking", endedThere)
	run(debits, "debit answer lost: charged once", debitAnswerLost)
	run(signs, "end of an agreement, answer lost", unsignAnswerLost)
	run(signs && notifies && b.TellsEnds && b.EndThere != nil, "told of an agreement", toldOfAgreement)
	run(signs && notifies && b.TellsEnds && b.EndThere != nil, "told of a signing too late", toldTooLate)
	out := caps.Payout && paysOut && b.Payout != nil
	run(out, "pay-out", payout)
	run(out, "pay-out answer lost", payoutAnswerLost)
	run(out, "pay-out lost is missing", payoutLost)
	run(out, "pay-out done, but answered with an error", payoutDoneButAnsweredWithAnError)
	run(out, "pay-out, same number, another amount", payoutAnotherAmount)
	run(out && notifies, "told of a pay-out", toldOfPayout)
	run(out && b.Drain != nil, "pay-out without money", payoutWithoutMoney)
	run(out && b.Refuses != nil, "pay-out that the payee does not get", payoutThatFails)
	run(out && caps.Bill, "pay-out on the bill of its day", payoutOnTheBill)
	run(caps.Bill, "bill of the day adds up", bill)
	run(caps.Bill, "bill of the day matches, and differences are found", billMatches)
	run(caps.Bill, "bill of a day on which much went wrong", billOfABadDay)
}

func tellsTheTruth(s *stand) {
	_, voids := s.Channel.(channel.Voider)
	_, authorises := s.Channel.(channel.Authoriser)
	_, agrees := s.Channel.(channel.Agreements)
	_, paysOut := s.Channel.(channel.Payouts)
	for name, pair := range map[string][2]bool{"Void": {s.caps.Void, voids}, "Authorise": {s.caps.Authorise, authorises}, "Agreements": {s.caps.Agreements, agrees}, "Payout": {s.caps.Payout, paysOut}} {
		if pair[0] && !pair[1] {
			s.t.Errorf("Capabilities.%s is set, but the port is not there", name)
		}
	}
	if len(s.caps.Products) == 0 || len(s.caps.Currencies) == 0 {
		s.t.Error("a channel without products or currencies")
	}
	if s.caps.DayZone == nil {
		s.t.Error("a channel's day has a zone")
	}
	if s.caps.Agreements && s.Sign == nil || s.caps.Payout && (s.Payout == nil || s.PaidOut == nil) {
		s.t.Error("the bench leaves out how to sign or pay out, which the channel can")
	}
}
