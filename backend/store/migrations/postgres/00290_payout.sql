-- +goose Up
-- Pay-outs: operations that send money out of our account at a channel, of a withdrawal or in place of a refund.
ALTER TABLE gateway_operation ADD COLUMN sent_ms BIGINT NOT NULL DEFAULT 0; -- of a pay-out: when the channel was called, 0 for never; it is called once
ALTER TABLE gateway_operation ADD COLUMN pay_to TEXT COLLATE "C" NOT NULL DEFAULT '';    -- of a pay-out: where in gateway_pay_to the money goes
CREATE INDEX gateway_operation_payout ON gateway_operation (number) WHERE pay_to <> '';

-- Whom pay-outs go to, sealed. One that two persons send again has the row of the first.
CREATE TABLE gateway_pay_to (
    id   TEXT COLLATE "C" PRIMARY KEY, -- the first pay-out's number
    whom BYTEA NOT NULL
);

-- What one person has decided about a pay-out, and another has not yet.
CREATE TABLE gateway_decision (
    number TEXT COLLATE "C" PRIMARY KEY, -- the pay-out's
    what   TEXT COLLATE "C" NOT NULL,    -- returned | resend
    by     TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    at_ms  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE gateway_decision;
DROP TABLE gateway_pay_to;
DROP INDEX gateway_operation_payout;
ALTER TABLE gateway_operation DROP COLUMN pay_to;
ALTER TABLE gateway_operation DROP COLUMN sent_ms;
