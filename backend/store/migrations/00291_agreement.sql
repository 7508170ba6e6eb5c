-- +goose Up
-- Agreements to debit. States and moves are the table Agreement of backend/gateway/order; what recurs is backend/gateway/recurring.
CREATE TABLE gateway_agreement (
    number     TEXT PRIMARY KEY,
    app        TEXT NOT NULL,
    idem       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    merchant   TEXT NOT NULL,
    payer      TEXT NOT NULL,             -- the app's name for who signed
    subject    TEXT NOT NULL,             -- what the payer agreed to
    attach     TEXT NOT NULL,
    channel    TEXT NOT NULL,             -- our account at a channel
    context    TEXT NOT NULL,
    currency   TEXT NOT NULL,
    state      TEXT NOT NULL,
    channel_id TEXT NOT NULL DEFAULT '',  -- the channel's number of it
    action     TEXT NOT NULL DEFAULT '',  -- what the payer's device needs to sign, JSON
    code       TEXT NOT NULL DEFAULT '',
    message    TEXT NOT NULL DEFAULT '',
    terms      TEXT NOT NULL DEFAULT '',  -- of what recurs, JSON; '' for debits that the app orders
    progress   TEXT NOT NULL DEFAULT '',  -- of what recurs, JSON
    last_order TEXT NOT NULL DEFAULT '',  -- of the last charge
    lines      INTEGER NOT NULL DEFAULT 0,
    tries      INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    signed_ms  INTEGER NOT NULL DEFAULT 0,
    due_ms     INTEGER NOT NULL DEFAULT 0 -- when something is to be done about it, 0 for never
) STRICT;
CREATE UNIQUE INDEX gateway_agreement_idem ON gateway_agreement (app, idem);
CREATE INDEX gateway_agreement_due ON gateway_agreement (due_ms) WHERE due_ms > 0;

-- +goose Down
DROP TABLE gateway_agreement;
