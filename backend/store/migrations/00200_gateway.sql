-- +goose Up
-- Orders of the online gateway, attempts to pay them, and operations on what was paid. States and moves are the tables of backend/gateway/order.
CREATE TABLE gateway_order (
    id          TEXT PRIMARY KEY,
    app         TEXT NOT NULL,
    idem        TEXT NOT NULL, -- the app's name for it, for ever
    digest      TEXT NOT NULL, -- of what was ordered
    context     TEXT NOT NULL, -- 20 digits, of the payment that paid it once it is paid
    merchant    TEXT NOT NULL,
    payee       TEXT NOT NULL,
    amount      INTEGER NOT NULL, -- owed
    currency    TEXT NOT NULL,
    subject     TEXT NOT NULL,
    attach      TEXT NOT NULL, -- the app's own, not read here
    state       TEXT NOT NULL,
    payment     TEXT NOT NULL DEFAULT '', -- that pays it
    received    INTEGER NOT NULL DEFAULT 0,
    refunding   INTEGER NOT NULL DEFAULT 0, -- on its way back
    refunded    INTEGER NOT NULL DEFAULT 0,
    fee         INTEGER NOT NULL DEFAULT 0, -- that the channel keeps
    lines       INTEGER NOT NULL DEFAULT 0, -- of the timeline
    created_ms  INTEGER NOT NULL,
    changed_ms  INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL,
    paid_ms     INTEGER NOT NULL DEFAULT 0,
    due_ms      INTEGER NOT NULL DEFAULT 0 -- when time alone moves it, 0 for never
) STRICT;
CREATE UNIQUE INDEX gateway_order_idem ON gateway_order (app, idem);
CREATE INDEX gateway_order_due ON gateway_order (due_ms) WHERE due_ms > 0;
CREATE INDEX gateway_order_made ON gateway_order (app, created_ms);

CREATE TABLE gateway_payment (
    number     TEXT PRIMARY KEY,
    order_id   TEXT NOT NULL,
    n          INTEGER NOT NULL, -- 1, 2, 3 … within the order
    idem       TEXT NOT NULL,    -- the app's name for the attempt; one attempt may try several channels
    digest     TEXT NOT NULL,
    channel    TEXT NOT NULL,    -- our account at a channel
    context    TEXT NOT NULL,
    product    TEXT NOT NULL,
    amount     INTEGER NOT NULL,
    currency   TEXT NOT NULL,
    state      TEXT NOT NULL,
    surplus    INTEGER NOT NULL DEFAULT 0, -- 1: the order did not need its money
    channel_id TEXT NOT NULL DEFAULT '',
    action     TEXT NOT NULL DEFAULT '',   -- what the payer's device needs, JSON
    bank       TEXT NOT NULL DEFAULT '',
    code       TEXT NOT NULL DEFAULT '',
    class      INTEGER NOT NULL DEFAULT 0,
    message    TEXT NOT NULL DEFAULT '',
    fee        INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    sent_ms    INTEGER NOT NULL DEFAULT 0,
    paid_ms    INTEGER NOT NULL DEFAULT 0,
    expires_ms INTEGER NOT NULL,
    slice      INTEGER NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0, -- since it came into its state
    ask_ms     INTEGER NOT NULL DEFAULT 0  -- when the channel is asked, 0 for never
) STRICT;
CREATE UNIQUE INDEX gateway_payment_order ON gateway_payment (order_id, n);
CREATE INDEX gateway_payment_ask ON gateway_payment (slice, ask_ms) WHERE ask_ms > 0;

CREATE TABLE gateway_operation (
    number     TEXT PRIMARY KEY,
    order_id   TEXT NOT NULL,
    payment    TEXT NOT NULL, -- that it gives back
    kind       TEXT NOT NULL, -- refund | void
    idem       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    channel    TEXT NOT NULL,
    context    TEXT NOT NULL,
    amount     INTEGER NOT NULL,
    currency   TEXT NOT NULL,
    reason     TEXT NOT NULL,
    source     TEXT NOT NULL, -- account of the books that the money is taken from
    fee        INTEGER NOT NULL DEFAULT 0, -- that comes back with it
    state      TEXT NOT NULL,
    channel_id TEXT NOT NULL DEFAULT '',
    code       TEXT NOT NULL DEFAULT '',
    class      INTEGER NOT NULL DEFAULT 0,
    message    TEXT NOT NULL DEFAULT '',
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    done_ms    INTEGER NOT NULL DEFAULT 0,
    slice      INTEGER NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0,
    ask_ms     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX gateway_operation_idem ON gateway_operation (order_id, idem);
CREATE INDEX gateway_operation_ask ON gateway_operation (slice, ask_ms) WHERE ask_ms > 0;

-- Notifications that were heard. A channel sends them more than once.
CREATE TABLE gateway_heard (
    channel TEXT NOT NULL,
    id      TEXT NOT NULL, -- the channel's
    about   TEXT NOT NULL,
    at_ms   INTEGER NOT NULL,
    PRIMARY KEY (channel, id)
) STRICT;

-- What happened to an order, in order.
CREATE TABLE gateway_timeline (
    order_id TEXT NOT NULL,
    n        INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    about    TEXT NOT NULL, -- the order, a payment or an operation
    event    TEXT NOT NULL,
    was      TEXT NOT NULL, -- state before, '' for a thing that is new
    became   TEXT NOT NULL,
    source   TEXT NOT NULL, -- who said so: request, answer, notification, query, time
    context  TEXT NOT NULL,
    detail   TEXT NOT NULL,
    PRIMARY KEY (order_id, n)
) STRICT;

-- What is suspicious about an order, or about what an app asked for.
CREATE TABLE gateway_finding (
    order_id TEXT NOT NULL,
    code     TEXT NOT NULL,
    detail   TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    PRIMARY KEY (order_id, code, detail)
) STRICT;

-- Which worker asks channels about a slice of time, and until when nobody else does.
CREATE TABLE gateway_slice (
    slice    INTEGER PRIMARY KEY,
    owner    TEXT NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE gateway_slice;
DROP TABLE gateway_finding;
DROP TABLE gateway_timeline;
DROP TABLE gateway_heard;
DROP TABLE gateway_operation;
DROP TABLE gateway_payment;
DROP TABLE gateway_order;
