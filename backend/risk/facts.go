package risk

// Facts are what a rule may ask of a payment. Amounts are minor units. The names of the tags are part of the rules' language and never get a
// new meaning.
type Facts struct {
	Product  string `expr:"product" json:"product,omitempty"` // as package channel names them; a withdrawal is payout
	Currency string `expr:"currency" json:"currency,omitempty"`
	Amount   int64  `expr:"amount" json:"amount,omitempty"`
	Bank     string `expr:"bank" json:"bank,omitempty"`
	Card     string `expr:"card" json:"card,omitempty"` // debit, credit, prepaid
	App      string `expr:"app" json:"app,omitempty"`
	Device   bool   `expr:"device" json:"device,omitempty"`     // whether it is known which device pays
	Hour     int    `expr:"hour" json:"hour,omitempty"`         // of the day where the scheme is
	Attempts int    `expr:"attempts" json:"attempts,omitempty"` // of the order, this one included

	// SteppedUp is whether the payer has proved more for this attempt. It is not asked for twice: a step-up is a pass then.
	SteppedUp bool `expr:"stepped_up" json:"stepped_up,omitempty"`

	// What happened lately, this payment included.
	ByPayer    Counts `expr:"by_payer" json:"by_payer,omitzero"`
	ByDevice   Counts `expr:"by_device" json:"by_device,omitzero"`
	ByCard     Counts `expr:"by_card" json:"by_card,omitzero"`
	ByMerchant Counts `expr:"by_merchant" json:"by_merchant,omitzero"`
	Complete   bool   `expr:"velocity_complete" json:"velocity_complete,omitempty"` // nothing of a day is missing in them

	// What lists say: denied, allowed, or "" for neither.
	PayerList    string `expr:"payer_list" json:"payer_list,omitempty"`
	DeviceList   string `expr:"device_list" json:"device_list,omitempty"`
	CardList     string `expr:"card_list" json:"card_list,omitempty"`
	MerchantList string `expr:"merchant_list" json:"merchant_list,omitempty"`

	// What is known of the person. That a person is not in the database is no mismatch.
	Elements int    `expr:"elements" json:"elements,omitempty"` // that matched: 0, 2 (name, ID number), 3 (and card), 4 (and telephone)
	Identity string `expr:"identity" json:"identity,omitempty"` // match, mismatch, not-in-database; "" for not asked or not known
	Unproven bool   `expr:"unproven" json:"unproven,omitempty"` // the card was bound in a way that does not show whose it is

	// Young is how much of a withdrawal is money that has not been here long enough, as [Free] has it.
	Young int64 `expr:"young" json:"young,omitempty"`

	// The last reconciliation with the channel: how many minutes ago (-1: never), how many payments differed, and by how much in all.
	ReconMinutes     int   `expr:"recon_minutes" json:"recon_minutes,omitempty"`
	ReconDifferences int   `expr:"recon_differences" json:"recon_differences,omitempty"`
	ReconAmount      int64 `expr:"recon_amount" json:"recon_amount,omitempty"`
}

// Counts are how many payments there were in a sliding window that ends now, and the sum of their amounts.
type Counts struct {
	Count10m int   `expr:"count_10m" json:"count_10m,omitempty"`
	Sum10m   int64 `expr:"sum_10m" json:"sum_10m,omitempty"`
	Count1h  int   `expr:"count_1h" json:"count_1h,omitempty"`
	Sum1h    int64 `expr:"sum_1h" json:"sum_1h,omitempty"`
	Count24h int   `expr:"count_24h" json:"count_24h,omitempty"`
	Sum24h   int64 `expr:"sum_24h" json:"sum_24h,omitempty"`
}
