-- +goose Up
-- Pay-outs: operations that send money out of our account at a channel, of a withdrawal or in place of a refund.
ALTER TABLE gateway_operation ADD COLUMN sent_ms INTEGER NOT NULL DEFAULT 0; -- of a pay-out: when the channel was called, 0 for never; it is called once
ALTER TABLE gateway_operation ADD COLUMN pay_to TEXT NOT NULL DEFAULT '';    -- of a pay-out: where in gateway_pay_to the money goes
CREATE INDEX gateway_operation_payout ON gateway_operation (number) WHERE pay_to <> '';

-- Whom pay-outs go to, sealed. One that two persons send again has the row of the first.
CREATE TABLE gateway_pay_to (
    id   TEXT PRIMARY KEY, -- the first pay-out's number
    whom BLOB NOT NULL
) STRICT;

-- What one person has decided about a pay-out, and another has not yet.
CREATE TABLE gateway_decision (
    number TEXT PRIMARY KEY, -- the pay-out's
    what   TEXT NOT NULL,    -- returned | resend
    by     TEXT NOT NULL,
    reason TEXT NOT NULL,
    at_ms  INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE gateway_decision;
DROP TABLE gateway_pay_to;
DROP INDEX gateway_operation_payout;
ALTER TABLE gateway_operation DROP COLUMN pay_to;
ALTER TABLE gateway_operation DROP COLUMN sent_ms;
