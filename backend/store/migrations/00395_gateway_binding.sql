-- +goose Up
-- Bound cards. States and moves are the table Binding of backend/gateway/order. No digit of a number but the last four is here; the channel's token is sealed.
CREATE TABLE gateway_binding (
    number     TEXT PRIMARY KEY,
    app        TEXT NOT NULL,
    holder     TEXT NOT NULL,             -- the app's name for whose card it is
    idem       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    channel    TEXT NOT NULL,             -- our account at a channel
    context    TEXT NOT NULL,
    way        TEXT NOT NULL,             -- typed | page
    state      TEXT NOT NULL,
    card       TEXT NOT NULL DEFAULT '',  -- the vault's keyed name for the number; '' : not known
    last       TEXT NOT NULL DEFAULT '',  -- four digits
    bank       TEXT NOT NULL DEFAULT '',
    kind       TEXT NOT NULL DEFAULT '',  -- debit | credit | prepaid
    token      TEXT NOT NULL DEFAULT '',  -- the channel's, sealed, in base64
    unproven   INTEGER NOT NULL DEFAULT 0,    -- 1: nobody proved whose card it is
    attach     TEXT NOT NULL DEFAULT '',
    action     TEXT NOT NULL DEFAULT '',  -- what the payer's device needs to bind, JSON
    code       TEXT NOT NULL DEFAULT '',
    message    TEXT NOT NULL DEFAULT '',
    pay_order  TEXT NOT NULL DEFAULT '',  -- an order to pay once it is bound
    attempt    INTEGER NOT NULL DEFAULT 1,    -- of opening at the channel: part of the number there
    codes      INTEGER NOT NULL DEFAULT 0,    -- asked for
    lines      INTEGER NOT NULL DEFAULT 0,
    tries      INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    called_ms  INTEGER NOT NULL DEFAULT 0,    -- when the channel was last asked to bind
    bound_ms   INTEGER NOT NULL DEFAULT 0,
    due_ms     INTEGER NOT NULL DEFAULT 0     -- when something is to be done about it, 0 for never
) STRICT;
CREATE UNIQUE INDEX gateway_binding_idem ON gateway_binding (app, idem);
CREATE INDEX gateway_binding_holder ON gateway_binding (app, holder);
CREATE INDEX gateway_binding_due ON gateway_binding (due_ms) WHERE due_ms > 0;

-- +goose Down
DROP TABLE gateway_binding;
