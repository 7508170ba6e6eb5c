// Package intake is the backend's pipeline from an envelope to the books: it accepts, verifies and posts.
//
// Start with [Pipeline]. Accept keeps a signed batch in one transaction, and then the receipt may leave; Step takes what was
// accepted, verifies each record's proof through the keys of its card family (family.go), and posts groups of records in one transaction each. What a record is worth
// is decided by package shadowaccount, and the decision does not depend on the order of arrival, so both may be repeated,
// interrupted and run at any time. The package knows no transport: uplink/intake feeds it.
package intake
