-- +goose Up
-- Orders of the online gateway, attempts to pay them, and operations on what was paid. States and moves are the tables of backend/gateway/order.
CREATE TABLE gateway_order (
    id          TEXT COLLATE "C" PRIMARY KEY,
    app         TEXT COLLATE "C" NOT NULL,
    idem        TEXT COLLATE "C" NOT NULL, -- the app's name for it, for ever
    digest      TEXT COLLATE "C" NOT NULL, -- of what was ordered
    context     TEXT COLLATE "C" NOT NULL, -- 20 digits, of the payment that paid it once it is paid
    merchant    TEXT COLLATE "C" NOT NULL,
    payee       TEXT COLLATE "C" NOT NULL,
    amount      BIGINT NOT NULL, -- owed
    currency    TEXT COLLATE "C" NOT NULL,
    subject     TEXT COLLATE "C" NOT NULL,
    attach      TEXT COLLATE "C" NOT NULL, -- the app's own, not read here
    state       TEXT COLLATE "C" NOT NULL,
    payment     TEXT COLLATE "C" NOT NULL DEFAULT '', -- that pays it
    received    BIGINT NOT NULL DEFAULT 0,
    refunding   BIGINT NOT NULL DEFAULT 0, -- on its way back
    refunded    BIGINT NOT NULL DEFAULT 0,
    fee         BIGINT NOT NULL DEFAULT 0, -- that the channel keeps
    lines       BIGINT NOT NULL DEFAULT 0, -- of the timeline
    created_ms  BIGINT NOT NULL,
    changed_ms  BIGINT NOT NULL,
    expires_ms  BIGINT NOT NULL,
    paid_ms     BIGINT NOT NULL DEFAULT 0,
    due_ms      BIGINT NOT NULL DEFAULT 0 -- when time alone moves it, 0 for never
);
CREATE UNIQUE INDEX gateway_order_idem ON gateway_order (app, idem);
CREATE INDEX gateway_order_due ON gateway_order (due_ms) WHERE due_ms > 0;
CREATE INDEX gateway_order_made ON gateway_order (app, created_ms);

CREATE TABLE gateway_payment (
    number     TEXT COLLATE "C" PRIMARY KEY,
    order_id   TEXT COLLATE "C" NOT NULL,
    n          BIGINT NOT NULL, -- 1, 2, 3 … within the order
    idem       TEXT COLLATE "C" NOT NULL,    -- the app's name for the attempt; one attempt may try several channels
    digest     TEXT COLLATE "C" NOT NULL,
    channel    TEXT COLLATE "C" NOT NULL,    -- our account at a channel
    context    TEXT COLLATE "C" NOT NULL,
    product    TEXT COLLATE "C" NOT NULL,
    amount     BIGINT NOT NULL,
    currency   TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    surplus    BIGINT NOT NULL DEFAULT 0, -- 1: the order did not need its money
    channel_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    action     TEXT COLLATE "C" NOT NULL DEFAULT '',   -- what the payer's device needs, JSON
    bank       TEXT COLLATE "C" NOT NULL DEFAULT '',
    code       TEXT COLLATE "C" NOT NULL DEFAULT '',
    class      BIGINT NOT NULL DEFAULT 0,
    message    TEXT COLLATE "C" NOT NULL DEFAULT '',
    fee        BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    sent_ms    BIGINT NOT NULL DEFAULT 0,
    paid_ms    BIGINT NOT NULL DEFAULT 0,
    expires_ms BIGINT NOT NULL,
    slice      BIGINT NOT NULL,
    tries      BIGINT NOT NULL DEFAULT 0, -- since it came into its state
    ask_ms     BIGINT NOT NULL DEFAULT 0  -- when the channel is asked, 0 for never
);
CREATE UNIQUE INDEX gateway_payment_order ON gateway_payment (order_id, n);
CREATE INDEX gateway_payment_ask ON gateway_payment (slice, ask_ms) WHERE ask_ms > 0;

CREATE TABLE gateway_operation (
    number     TEXT COLLATE "C" PRIMARY KEY,
    order_id   TEXT COLLATE "C" NOT NULL,
    payment    TEXT COLLATE "C" NOT NULL, -- that it gives back
    kind       TEXT COLLATE "C" NOT NULL, -- refund | void
    idem       TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    channel    TEXT COLLATE "C" NOT NULL,
    context    TEXT COLLATE "C" NOT NULL,
    amount     BIGINT NOT NULL,
    currency   TEXT COLLATE "C" NOT NULL,
    reason     TEXT COLLATE "C" NOT NULL,
    source     TEXT COLLATE "C" NOT NULL, -- account of the books that the money is taken from
    fee        BIGINT NOT NULL DEFAULT 0, -- that comes back with it
    state      TEXT COLLATE "C" NOT NULL,
    channel_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    code       TEXT COLLATE "C" NOT NULL DEFAULT '',
    class      BIGINT NOT NULL DEFAULT 0,
    message    TEXT COLLATE "C" NOT NULL DEFAULT '',
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    done_ms    BIGINT NOT NULL DEFAULT 0,
    slice      BIGINT NOT NULL,
    tries      BIGINT NOT NULL DEFAULT 0,
    ask_ms     BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX gateway_operation_idem ON gateway_operation (order_id, idem);
CREATE INDEX gateway_operation_ask ON gateway_operation (slice, ask_ms) WHERE ask_ms > 0;

-- Notifications that were heard. A channel sends them more than once.
CREATE TABLE gateway_heard (
    channel TEXT COLLATE "C" NOT NULL,
    id      TEXT COLLATE "C" NOT NULL, -- the channel's
    about   TEXT COLLATE "C" NOT NULL,
    at_ms   BIGINT NOT NULL,
    PRIMARY KEY (channel, id)
);

-- What happened to an order, in order.
CREATE TABLE gateway_timeline (
    order_id TEXT COLLATE "C" NOT NULL,
    n        BIGINT NOT NULL,
    at_ms    BIGINT NOT NULL,
    about    TEXT COLLATE "C" NOT NULL, -- the order, a payment or an operation
    event    TEXT COLLATE "C" NOT NULL,
    was      TEXT COLLATE "C" NOT NULL, -- state before, '' for a thing that is new
    became   TEXT COLLATE "C" NOT NULL,
    source   TEXT COLLATE "C" NOT NULL, -- who said so: request, answer, notification, query, time
    context  TEXT COLLATE "C" NOT NULL,
    detail   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (order_id, n)
);

-- What is suspicious about an order, or about what an app asked for.
CREATE TABLE gateway_finding (
    order_id TEXT COLLATE "C" NOT NULL,
    code     TEXT COLLATE "C" NOT NULL,
    detail   TEXT COLLATE "C" NOT NULL,
    at_ms    BIGINT NOT NULL,
    PRIMARY KEY (order_id, code, detail)
);

-- Which worker asks channels about a slice of time, and until when nobody else does.
CREATE TABLE gateway_slice (
    slice    BIGINT PRIMARY KEY,
    owner    TEXT COLLATE "C" NOT NULL,
    until_ms BIGINT NOT NULL
);

-- +goose Down
DROP TABLE gateway_slice;
DROP TABLE gateway_finding;
DROP TABLE gateway_timeline;
DROP TABLE gateway_heard;
DROP TABLE gateway_operation;
DROP TABLE gateway_payment;
DROP TABLE gateway_order;
