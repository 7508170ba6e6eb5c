package code

import (
	"fmt"
	"maps"
	"slices"
)

// Registry knows the codes of one scheme. Modes, actions and ways are the same in every scheme.
type Registry struct {
	products  map[Product]string
	companies map[Company]string
	serves    map[Number][]Channel
}

// wayNames are the ways of paying, by the names that channels use for them.
var wayNames = map[Way]string{1: "qr", 2: "code", 3: "jsapi", 4: "h5", 5: "app", 6: "quick", 7: "netbank", 8: "card", 9: "agreement", 10: "balance", 11: "payout", 12: "combined"}

// WayOf finds a way by its name. Error: [ErrUnknown].
func WayOf(name string) (Way, error) { return parse(wayNames, "way of paying", name) }

func (w Way) String() string { return nameOf(wayNames, w) }

// Ways lists them by number.
func Ways() []Way { return slices.Sorted(maps.Keys(wayNames)) }

// NewRegistry makes a registry of products and companies by number. Numbers out of their range are refused.
func NewRegistry(products map[Product]string, companies map[Company]string) (*Registry, error) {
	for n := range products {
		if n < 1 || n > 9999 {
			return nil, fmt.Errorf("product %d: want 1 to 9999", n)
		}
	}
	for n := range companies {
		if n < 1 || n > 999 {
			return nil, fmt.Errorf("company %d: want 1 to 999", n)
		}
	}
	return &Registry{products: maps.Clone(products), companies: maps.Clone(companies), serves: map[Number][]Channel{}}, nil
}

// Serve tells that an account serves a channel. An account may serve many, of many companies.
func (r *Registry) Serve(n Number, c Channel) error {
	if n < 1 || n > 999999 {
		return fmt.Errorf("channel number %d: want 1 to 999999", n)
	}
	if err := r.channel(c); err != nil {
		return err
	}
	if !slices.Contains(r.serves[n], c) {
		r.serves[n] = append(r.serves[n], c)
		slices.Sort(r.serves[n])
	}
	return nil
}

// Channels lists what an account serves, Numbers which accounts serve a channel; both by number.
func (r *Registry) Channels(n Number) []Channel { return slices.Clone(r.serves[n]) }
func (r *Registry) Numbers(c Channel) []Number {
	var out []Number
	for n, all := range r.serves {
		if slices.Contains(all, c) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// Product names a product, or says that there is none.
func (r *Registry) Product(p Product) (string, error) {
	if name, known := r.products[p]; known {
		return name, nil
	}
	return "", fmt.Errorf("product %04d: %w", p, ErrUnknown)
}

func (r *Registry) channel(c Channel) error {
	if _, known := r.companies[c.Company()]; !known {
		return fmt.Errorf("channel %06d: company %03d: %w", c, c.Company(), ErrUnknown)
	}
	if _, known := wayNames[c.Way()]; !known {
		return fmt.Errorf("channel %06d: way %03d: %w", c, c.Way(), ErrUnknown)
	}
	return nil
}

// Check reports a code that is in no table, or an account that does not serve the channel. Both channel and number may be zero: nothing is
// chosen yet. Error: [ErrUnknown].
func (r *Registry) Check(c Context) error {
	if _, err := r.Product(c.Product); err != nil {
		return err
	}
	if _, known := modes[c.Mode]; !known {
		return fmt.Errorf("mode %02d: %w", c.Mode, ErrUnknown)
	}
	if _, known := actions[c.Action]; !known {
		return fmt.Errorf("action %02d: %w", c.Action, ErrUnknown)
	}
	if c.Channel == 0 && c.Number == 0 {
		return nil
	}
	if err := r.channel(c.Channel); err != nil {
		return err
	}
	if !slices.Contains(r.serves[c.Number], c.Channel) {
		return fmt.Errorf("channel number %06d does not serve channel %06d: %w", c.Number, c.Channel, ErrUnknown)
	}
	return nil
}

// Parse reads a context code whose every part is known. Errors: [ErrForm], [ErrUnknown].
func (r *Registry) Parse(s string) (Context, error) {
	c, err := Parse(s)
	if err != nil {
		return Context{}, err
	}
	return c, r.Check(c)
}
