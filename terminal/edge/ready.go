package edge

import (
	"errors"
	"fmt"
	"time"

	"github.com/purselane/purselane/uplink/client"
)

// ready tells why the terminal must not sell at now: the limits of its profile. Selling on for weeks without a link would
// put more at risk than the operator agreed to.
func (t *Terminal) ready(now time.Time) error {
	if t.sender != nil && t.sender.Stats().State == client.Halted {
		return errors.New("the journal is an older copy than what was sent from it: move it aside with \"purselane-terminal journal quarantine\" and keep it")
	}
	backlog, oldest, err := t.journal.Backlog()
	if err != nil {
		return err
	}
	limits := t.cfg.Profile.Limits
	if limits.MaxRecords > 0 && backlog >= limits.MaxRecords {
		return fmt.Errorf("%d records without a receipt, and the profile allows %d: the uplink must come first", backlog, limits.MaxRecords)
	}
	if limits.MaxAge > 0 && !oldest.IsZero() && now.Sub(oldest) > limits.MaxAge {
		return fmt.Errorf("the oldest record without a receipt is of %s, and the profile allows %v: the uplink must come first",
			oldest.UTC().Format(time.RFC3339), limits.MaxAge)
	}
	if limits.MaxValue.IsZero() {
		return nil
	}
	value, err := t.exposure.value(t.journal)
	if err != nil {
		return fmt.Errorf("sum up the records without a receipt: %w", err)
	}
	if value.Cmp(limits.MaxValue) >= 0 {
		return fmt.Errorf("the records without a receipt are worth %v, and the profile allows %v: the uplink must come first", value, limits.MaxValue)
	}
	return nil
}
