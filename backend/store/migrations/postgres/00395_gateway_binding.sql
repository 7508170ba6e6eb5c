-- +goose Up
-- Bound cards. States and moves are the table Binding of backend/gateway/order. No digit of a number but the last four is here; the channel's token is sealed.
CREATE TABLE gateway_binding (
    number     TEXT COLLATE "C" PRIMARY KEY,
    app        TEXT COLLATE "C" NOT NULL,
    holder     TEXT COLLATE "C" NOT NULL,             -- the app's name for whose card it is
    idem       TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    channel    TEXT COLLATE "C" NOT NULL,             -- our account at a channel
    context    TEXT COLLATE "C" NOT NULL,
    way        TEXT COLLATE "C" NOT NULL,             -- typed | page
    state      TEXT COLLATE "C" NOT NULL,
    card       TEXT COLLATE "C" NOT NULL DEFAULT '',  -- the vault's keyed name for the number; '' : not known
    last       TEXT COLLATE "C" NOT NULL DEFAULT '',  -- four digits
    bank       TEXT COLLATE "C" NOT NULL DEFAULT '',
    kind       TEXT COLLATE "C" NOT NULL DEFAULT '',  -- debit | credit | prepaid
    token      TEXT COLLATE "C" NOT NULL DEFAULT '',  -- the channel's, sealed, in base64
    unproven   BIGINT NOT NULL DEFAULT 0,    -- 1: nobody proved whose card it is
    attach     TEXT COLLATE "C" NOT NULL DEFAULT '',
    action     TEXT COLLATE "C" NOT NULL DEFAULT '',  -- what the payer's device needs to bind, JSON
    code       TEXT COLLATE "C" NOT NULL DEFAULT '',
    message    TEXT COLLATE "C" NOT NULL DEFAULT '',
    pay_order  TEXT COLLATE "C" NOT NULL DEFAULT '',  -- an order to pay once it is bound
    attempt    BIGINT NOT NULL DEFAULT 1,    -- of opening at the channel: part of the number there
    codes      BIGINT NOT NULL DEFAULT 0,    -- asked for
    lines      BIGINT NOT NULL DEFAULT 0,
    tries      BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    called_ms  BIGINT NOT NULL DEFAULT 0,    -- when the channel was last asked to bind
    bound_ms   BIGINT NOT NULL DEFAULT 0,
    due_ms     BIGINT NOT NULL DEFAULT 0     -- when something is to be done about it, 0 for never
);
CREATE UNIQUE INDEX gateway_binding_idem ON gateway_binding (app, idem);
CREATE INDEX gateway_binding_holder ON gateway_binding (app, holder);
CREATE INDEX gateway_binding_due ON gateway_binding (due_ms) WHERE due_ms > 0;

-- +goose Down
DROP TABLE gateway_binding;
