package order

// Arrow is one move, of any table.
type Arrow struct{ From, On, To string }

func listed[S, E ~string](all []arrow[S, E]) (out []Arrow) {
	for _, a := range all {
		out = append(out, Arrow{string(a.from), string(a.on), string(a.to)})
	}
	return out
}

// Tables are the tables, by the word that heads each drawing.
func Tables() map[string][]Arrow {
	return map[string][]Arrow{"Order": listed(arrows), "Payment": listed(paymentArrows), "Operation": listed(operationArrows), "Agreement": listed(agreementArrows), "Binding": listed(bindingArrows), "Reload": listed(reloadArrows)}
}
