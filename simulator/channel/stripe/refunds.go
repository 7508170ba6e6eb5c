package stripe

import (
	"net/http"
	"strconv"
	"time"
)

type refund struct {
	id       string
	of       *intent
	amount   int64
	created  time.Time
	status   string
	metadata map[string]string
}

func (m *Simulator) createRefund(r request) answer {
	i := m.find(r.form.Get("payment_intent"))
	if i == nil {
		return missing("payment_intent", r.form.Get("payment_intent"))
	}
	n, err := strconv.ParseInt(r.form.Get("amount"), 10, 64)
	if err != nil || n <= 0 {
		return invalid("amount", "Invalid positive integer")
	}
	meta, ok := metadata(r.form)
	switch left := i.received - i.refunded; {
	case !ok:
		return invalid("metadata", "metadata is too long")
	case i.status != "succeeded":
		return state("payment_intent_unexpected_state", "This PaymentIntent does not have a successful charge to refund.")
	case left == 0:
		return state("charge_already_refunded", "Charge "+i.charge+" has already been refunded.")
	case n > left:
		a := invalid("amount", "Refund amount is greater than unrefunded amount on charge")
		a.kept = true
		return a
	}
	f := &refund{id: m.id("re"), of: i, amount: n, created: m.clock.Now(), status: "pending", metadata: meta}
	i.refunded += n
	m.refunds = append(m.refunds, f)
	m.move("refund", i, f, -n)
	m.tell("refund.created", f.json())
	m.settle()
	return answer{status: http.StatusOK, body: f.json()}
}

// settle ends the refunds whose time has come.
func (m *Simulator) settle() {
	for _, f := range m.refunds {
		if f.status == "pending" && !m.clock.Now().Before(f.created.Add(m.set.RefundDelay)) {
			f.status = "succeeded"
			m.tell("refund.updated", f.json())
		}
	}
}

func (m *Simulator) readRefund(r request) answer {
	for _, f := range m.refunds {
		if f.id == r.id {
			return answer{status: http.StatusOK, body: f.json()}
		}
	}
	return missing("refund", r.id)
}

func (f *refund) json() map[string]any {
	return map[string]any{"id": f.id, "object": "refund", "amount": f.amount, "charge": f.of.charge, "created": f.created.Unix(), "currency": f.of.currency,
		"metadata": clone(f.metadata), "payment_intent": f.of.id, "status": f.status}
}
