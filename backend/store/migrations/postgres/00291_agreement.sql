-- +goose Up
-- Agreements to debit. States and moves are the table Agreement of backend/gateway/order; what recurs is backend/gateway/recurring.
CREATE TABLE gateway_agreement (
    number     TEXT COLLATE "C" PRIMARY KEY,
    app        TEXT COLLATE "C" NOT NULL,
    idem       TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    merchant   TEXT COLLATE "C" NOT NULL,
    payer      TEXT COLLATE "C" NOT NULL,             -- the app's name for who signed
    subject    TEXT COLLATE "C" NOT NULL,             -- what the payer agreed to
    attach     TEXT COLLATE "C" NOT NULL,
    channel    TEXT COLLATE "C" NOT NULL,             -- our account at a channel
    context    TEXT COLLATE "C" NOT NULL,
    currency   TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    channel_id TEXT COLLATE "C" NOT NULL DEFAULT '',  -- the channel's number of it
    action     TEXT COLLATE "C" NOT NULL DEFAULT '',  -- what the payer's device needs to sign, JSON
    code       TEXT COLLATE "C" NOT NULL DEFAULT '',
    message    TEXT COLLATE "C" NOT NULL DEFAULT '',
    terms      TEXT COLLATE "C" NOT NULL DEFAULT '',  -- of what recurs, JSON; '' for debits that the app orders
    progress   TEXT COLLATE "C" NOT NULL DEFAULT '',  -- of what recurs, JSON
    last_order TEXT COLLATE "C" NOT NULL DEFAULT '',  -- of the last charge
    lines      BIGINT NOT NULL DEFAULT 0,
    tries      BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    signed_ms  BIGINT NOT NULL DEFAULT 0,
    due_ms     BIGINT NOT NULL DEFAULT 0 -- when something is to be done about it, 0 for never
);
CREATE UNIQUE INDEX gateway_agreement_idem ON gateway_agreement (app, idem);
CREATE INDEX gateway_agreement_due ON gateway_agreement (due_ms) WHERE due_ms > 0;

-- +goose Down
DROP TABLE gateway_agreement;
