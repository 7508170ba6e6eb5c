package channel

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/purselane/purselane/internal/money"
)

// Product is the shape of a payment: how the payer meets the channel. The text is stored and is part of the API.
type Product string

// Products.
const (
	QR        Product = "qr"        // we show a code, the payer scans it (Native)
	Code      Product = "code"      // we scan the payer's code (micropay); a password may be asked
	JSAPI     Product = "jsapi"     // a page inside the channel's own app
	H5        Product = "h5"        // a browser outside the channel's app
	App       Product = "app"       // another app, which is handed signed parameters
	Quick     Product = "quick"     // a bound card, by token
	NetBank   Product = "netbank"   // redirect to the bank's page: only the back notification counts
	Card      Product = "card"      // card data read by a terminal or held in the channel's vault
	Agreement Product = "agreement" // a debit under a signed agreement, nobody present
	Balance   Product = "balance"   // an account in our own books
	Payout    Product = "payout"    // money from us to an account
	Combined  Product = "combined"  // several of the payer's instruments at once
)

// Money is an amount of one currency.
type Money struct {
	Amount   money.Amount // minor units
	Currency string       // ISO 4217, three capitals
}

// PayRequest asks for one payment. The same number asks for the same payment: a channel must not charge twice for it.
type PayRequest struct {
	Number    string // ours for this attempt: 20 to 32 characters 0-9A-Za-z, unique for ever
	Context   string // the 20-digit context code; goes where the channel has a field that comes back, else nowhere
	Product   Product
	Money     Money
	Subject   string    // what is paid for, for the payer's eyes
	Sent      time.Time // the second of this attempt as it is kept, which [Ref].Sent repeats; zero: now, or refused where that could charge twice
	Expires   time.Time // after it the channel must refuse to be paid; zero: the channel's own default
	NotifyURL string    // ours, without a query
	ReturnURL string    // where the payer's browser goes after paying; proves nothing
	ClientIP  string    // of the payer, for H5; may be ""
	Payer     Payer
}

// Payer is how the payer is known to the channel. Only what the product needs is set; nothing of it goes to logs.
type Payer struct {
	OpenID    string // JSAPI: the payer at the channel
	Code      string // Code: what was scanned
	Token     string // Quick, Card: the channel's token of a card, never a card number
	Agreement string // Agreement: the channel's number of it
	Bank      string // bank chosen by the payer, our code; may be ""
	Account   string // Balance: the account
	Parts     []Part `json:",omitempty"` // Combined: in the order in which they are asked
}

// Part is what one instrument gives to a combined payment.
type Part struct {
	With    string // balance, points, or one of our accounts and a product, as stripe/quick
	Account string // whose it is: a holder, or what the product needs of the payer, as a card's token; may be ""
	Money   Money  // in the instrument's own currency
}

// Result is a channel's verified word on a payment, refund or pay-out.
type Result struct {
	Outcome   Outcome
	Number    string    // ours, as the channel repeats it
	ChannelID string    // the channel's own number; "" while it has none
	Money     Money     // as the channel says; zero amount: it did not say
	At        time.Time // when it was paid, by the channel's clock; zero: not said
	Bank      string    // payer's bank as the channel names it; "" for none
	Code      string    // the channel's code where it is not a success, verbatim
	Class     Class     // of Code
	Message   string    // the channel's text, safe to log
	Action    Action    // what the payer must do; only in the answer to Pay
}

// Action is what the payer's device needs to pay. One field is set.
type Action struct {
	QR     string            // text to show as a QR code
	URL    string            // page to open
	Params map[string]string // signed parameters for an app or a page inside the channel's app
	Form   map[string]string // fields to post to URL
}

// Ref names a payment at its channel.
type Ref struct {
	Number    string    // ours
	ChannelID string    // the channel's, if known
	Money     Money     // as asked
	Sent      time.Time // when Pay was called: some channels want its date
}

// RefundRequest asks to give back a part or the whole of a payment.
type RefundRequest struct {
	Number    string // ours for this refund, in the form of [PayRequest].Number; the same number is the same refund
	Of        Ref
	Money     Money     // of this refund
	Sent      time.Time // as [PayRequest].Sent
	Reason    string
	NotifyURL string
}

// RefundRef names a refund at its channel.
type RefundRef struct {
	Number    string
	ChannelID string
	Of        Ref
	Money     Money
	Sent      time.Time
}

// Capabilities are what a channel can do. A product or operation that is not there is never asked for.
type Capabilities struct {
	Products     []Product
	Currencies   []string
	Cards        []string      // kinds of cards that its credential is for, of [CardKinds]; empty: whatever comes
	Sync         bool          // Pay's answer is the last word in the common case
	Close        bool          // an unpaid payment can be closed
	Refund       bool          // in parts and repeatedly
	RefundWindow time.Duration // how long after payment; 0: no end
	Void         bool          // implements [Voider]
	Authorise    bool          // implements [Authoriser]
	Agreements   bool          // implements [Agreements]
	Payout       bool          // implements [Payouts]
	Bill         bool
	DayZone      *time.Location // of the channel's day: cut-off, bill, daily limits
	DayStart     time.Duration  // after midnight there; negative: on the evening before
}

// CardKinds are the kinds of cards.
var CardKinds = []string{"debit", "credit", "prepaid"}

// Channel is one account at one payment channel.
//
// Every method may be called again with the same numbers. An error means that nobody knows what happened, except [ErrNotSent]; it never
// means that a payment failed. No error holds a key, a card number or a token.
type Channel interface {
	Capabilities() Capabilities

	// Pay asks for a payment. A channel that has refused answers with Failed and no error.
	Pay(context.Context, PayRequest) (Result, error)

	// Query asks what became of a payment.
	Query(context.Context, Ref) (Result, error)

	// Close ends a payment that nobody has paid. The result may be Succeeded: then somebody was faster.
	Close(context.Context, Ref) (Result, error)

	Refund(context.Context, RefundRequest) (Result, error)
	QueryRefund(context.Context, RefundRef) (Result, error)

	// Notified verifies and reads a notification of the channel, and returns what it says and how to answer once that is committed. The
	// error is a [*ForgedError] where the proof does not verify: then nothing of it may be believed.
	Notified(context.Context, Notification) ([]Event, error)

	// Answer is what the channel wants to hear: that its notification is kept, or (err not nil) that it should come again.
	Answer(err error) Reply

	// Bill reads the channel's bill of a day (YYYY-MM-DD in its zone), row by row. Error: [ErrNoBillYet].
	Bill(ctx context.Context, day string, each func(BillRow) error) error
}

// Voider takes back a payment of the channel's same day as a whole, before it is settled. Void is asked for again by the same number.
type Voider interface {
	Void(context.Context, RefundRequest) (Result, error)
}

// Authoriser reserves money on a card. The numbers of increments, captures and releases are their own, in the form of a payment's.
type Authoriser interface {
	Authorise(context.Context, PayRequest) (Result, error)
	Increment(context.Context, RefundRequest) (Result, error) // Of: the authorisation; Money: how much more
	Capture(context.Context, RefundRequest) (Result, error)   // Money: at most what is reserved; the rest is released
	Release(context.Context, RefundRequest) (Result, error)   // the whole of what is reserved
}

// CodeReader is a channel that knows its own payment codes by their digits: whoever scans one need not say whose it is. A channel that is none takes any.
type CodeReader interface {
	OwnCode(code string) bool
}

// Prober is a channel that is asked in a way of its own whether it is there, where a query about a payment that nobody made would not tell.
type Prober interface {
	Probe(context.Context) error // nil: it is there and answers
}

// Whole is a channel whose payments have parts at other channels. Part is told what those say of a number that is no payment of the gateway's: known
// reports that it is a part's, and whole is what the payment has become; its About is zero where there is nothing to tell.
type Whole interface {
	Part(context.Context, Event) (whole Event, known bool, err error)
}

// Owner is a channel that owes something from one process to the next, such as a reversal. Recover comes before anything is asked of it; then Run
// sends what is owed, every so often until ctx ends, and says goodbye. Failed is told what went wrong; it goes on.
type Owner interface {
	Recover(context.Context) error
	Run(ctx context.Context, every time.Duration, failed func(error))
}

// SignRequest asks for an agreement to debit.
type SignRequest struct {
	Number    string // ours, in the form of a payment's
	Payer     Payer
	Plan      string // what the payer agrees to, for the payer's eyes
	NotifyURL string
	ReturnURL string
}

// Signed is what a channel says of an agreement. Outcome Succeeded: it is in force; Closed: it has ended.
type Signed struct {
	Outcome   Outcome
	Number    string
	Agreement string // the channel's number; a new one for each signing
	Action    Action
	Code      string
	Class     Class
	Message   string
	Duplicate bool // of a card: the channel has it bound already
}

// Agreements are signed once and debited often. A debit is a Pay with product [Agreement].
//
// number is ours; agreement is the channel's, "" where it is not known yet. A channel may forget what has ended: of one whose number it has given us, not
// to know it is to say Closed.
type Agreements interface {
	Sign(context.Context, SignRequest) (Signed, error)
	QueryAgreement(ctx context.Context, number, agreement string) (Signed, error)
	Unsign(ctx context.Context, number, agreement string) (Signed, error)
}

// PayoutRequest sends money out of our account at the channel.
type PayoutRequest struct {
	Number   string
	Money    Money
	Sent     time.Time // as [PayRequest].Sent
	Account  string    // sealed by the caller's rule: a token or an account number that never goes to logs
	Name     string
	BankCode string // of a corporate account; "" for a person's
	Purpose  string

	NotifyURL string // ours, without a query
}

// Payouts send money out. An unknown pay-out counts as paid and is never sent again by itself.
type Payouts interface {
	Payout(context.Context, PayoutRequest) (Result, error)
	QueryPayout(context.Context, Ref) (Result, error)
}

// Return is a pay-out that its bank has sent back after it was paid, as a channel's file of a day tells.
type Return struct {
	ChannelID string    // of the pay-out, or its beginning: as much as the file tells
	Paid      time.Time // when the pay-out was made, as the file tells it
	Money     Money
	Code      string // the file's word for it
	At        time.Time
}

// Returner is a channel that tells of such pay-outs in a file of a day (YYYY-MM-DD in its zone) and nowhere else. Not every row that it tells is of a pay-out:
// who knows ours sorts them. Error: [ErrNoBillYet].
type Returner interface {
	Returns(ctx context.Context, day string, each func(Return) error) error
}

// Notification is a notification as it came over HTTP.
type Notification struct {
	Header http.Header
	Query  string // raw
	Body   []byte // raw, at most 1 MiB: signatures are over these very bytes
	At     time.Time
}

// Subject is what an event is about.
type Subject int

// Subjects.
const (
	OfPayment Subject = iota + 1
	OfRefund
	OfAgreement
	OfPayout
)

// Event is what a notification says.
type Event struct {
	ID        string // the channel's, to drop a second one; "" where it gives none
	About     Subject
	Result    Result
	Agreement string // OfAgreement: the channel's number
}

// Reply is an HTTP answer to a notification.
type Reply struct {
	Status int
	Type   string // media type
	Body   []byte
}

// BillRow is one line of a channel's bill of a day.
type BillRow struct {
	Kind      Subject // OfPayment, OfRefund or OfPayout
	Number    string  // ours; of a refund the refund's
	Of        string  // of a refund: the payment's number, if the bill says it
	ChannelID string
	Money     Money        // positive, as it was asked for
	Settled   Money        // what the channel made of it in the currency of our account there; zero: the same as Money
	Fee       money.Amount // in the currency of Settled, or of Money where that is zero
	At        time.Time
}

// Errors.
var (
	// ErrNotSent says that the request has not left for certain: it may be tried elsewhere.
	ErrNotSent = errors.New("not sent")

	// ErrNoBillYet says that the bill of the day is not there yet: ask later.
	ErrNoBillYet = errors.New("the bill is not there yet")

	// ErrUnsupported says that the channel cannot do it.
	ErrUnsupported = errors.New("the channel cannot do this")
)

// ForgedError says that a message does not prove that the channel sent it.
type ForgedError struct {
	Why string // what is wrong and, where it shows, which key was taken for which: "verified with the merchant key instead of the platform key"
}

func (e *ForgedError) Error() string { return "not from the channel: " + e.Why }

// Journal keeps what an adapter must not forget, such as a reversal that is still owed. Put returns when it is durable.
type Journal interface {
	Put(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	Each(ctx context.Context, f func(key string, value []byte) error) error // by key
}

// Doer sends HTTP requests; *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

var _ Doer = (*http.Client)(nil)

// MaxAnswer is the longest body that an adapter reads from a channel, bills apart.
const MaxAnswer = 1 << 20

// ReadAnswer reads a body up to MaxAnswer. A longer one is an error: it is not what a channel sends.
func ReadAnswer(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, MaxAnswer+1))
	if err == nil && len(body) > MaxAnswer {
		return nil, errors.New("the answer is longer than any real one")
	}
	return body, err
}
