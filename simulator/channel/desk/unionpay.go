package desk

import (
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strings"

	adapter "github.com/purselane/purselane/backend/gateway/channel/unionpay"
	"github.com/purselane/purselane/simulator/channel/unionpay"
)

// pageForm is the field in which the page keeps its merchant's form until a card is chosen.
const pageForm = "purselane_form"

var unionPage = template.Must(template.New("unionpay").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>UnionPay, simulated</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:2rem auto;padding:0 1rem}button{font:inherit;padding:.4rem 1rem}.bad{color:#9b2c2c;font-weight:600}</style>
<h1>UnionPay, simulated</h1>
{{with .Said}}<p role="status">{{.}}</p>{{end}}
{{with .Bad}}<p class="bad" role="alert">{{.}}</p>{{end}}
{{if .Cards}}<p>Order {{.Order}}{{with .Amount}}: {{.}} fen{{end}}. No money moves.</p>
<form method="post">
<input type="hidden" name="purselane_form" value="{{.Form}}">
{{range $i, $c := .Cards}}<p><label><input type="radio" name="card" value="{{$c}}"{{if eq $i 0}} checked{{end}}> card that ends in {{slice $c 12}}</label></p>{{end}}
<button>Confirm</button>
</form>{{end}}
{{with .Back}}<p><a href="{{.}}">Back to the shop</a></p>{{end}}
</html>`))

// UnionPayPage serves a simulated UnionPay over a network with the page, frontTransReq.do, that a merchant's shop sends payers to: it shows the cards, and what the payer confirms is
// [unionpay.Sim.Visit]. Numbers of cards have 16 digits.
func UnionPayPage(s *unionpay.Sim, cards ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/frontTransReq.do") {
			s.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
		if err != nil {
			http.Error(w, "the form is too long", http.StatusRequestEntityTooLarge)
			return
		}
		sent, err := adapter.ParseForm(string(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		v := struct {
			Said, Bad, Order, Amount, Form, Back string
			Cards                                []string
		}{Cards: cards, Form: string(body)}
		f := sent
		if kept, chosen := sent[pageForm]; chosen {
			if f, err = adapter.ParseForm(kept); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			v.Form = kept
			if err = s.Visit(f, sent["card"]); err == nil {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				v.Cards, v.Back = nil, f["frontUrl"]
				v.Said = "Confirmed. The shop is told."
				_ = unionPage.Execute(w, v) // the payer has gone
				return
			}
			v.Bad, v.Back = fmt.Sprint(err), f["frontUrl"]
		}
		v.Order, v.Amount = f["orderId"], f["txnAmt"]
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = unionPage.Execute(w, v) // the payer has gone
	})
}
