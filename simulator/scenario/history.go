package scenario

import (
	"context"
	"fmt"

	"github.com/purselane/purselane/card/apdu"
	"github.com/purselane/purselane/card/ep"
)

// read reads EF 18 and EF 1E, newest first, up to the first record that was never written.
func read(ctx context.Context, t apdu.Transmitter, aid []byte) (log, trips []string, err error) {
	card, _, err := ep.Select(ctx, t, aid)
	if err != nil {
		return nil, nil, err
	}
	for n := byte(1); n <= 10; n++ {
		l, err := card.ReadLog(ctx, n)
		if err != nil {
			return nil, nil, err
		}
		if l.Empty() {
			break
		}
		log = append(log, fmt.Sprintf("%s %v", transactionWords[l.Type], l.Amount))
	}
	for n := byte(1); n <= 30; n++ {
		h, err := card.ReadTripHistory(ctx, n)
		if err != nil {
			return nil, nil, err
		}
		if h.Empty() {
			break
		}
		trips = append(trips, fmt.Sprintf("%s %v", tripWords[h.Kind], h.Amount))
	}
	return log, trips, nil
}
