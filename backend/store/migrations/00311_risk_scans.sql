-- +goose Up
-- What risk and reconciliation look for again and again: payments made lately that risk was not asked about, what an account moved in a span, and what was transferred to a merchant.
CREATE INDEX gateway_payment_made ON gateway_payment (created_ms);
CREATE INDEX gateway_payment_paid ON gateway_payment (channel, paid_ms) WHERE paid_ms > 0;
CREATE INDEX gateway_operation_done ON gateway_operation (channel, done_ms) WHERE done_ms > 0;
CREATE INDEX gateway_order_payee ON gateway_order (payee, paid_ms) WHERE payee <> '' AND paid_ms > 0;

-- What identity questions of a day were and cost, by the process that asked.
CREATE TABLE identity_spending (
    day      TEXT NOT NULL, -- where the scheme is
    process  TEXT NOT NULL,
    calls    INTEGER NOT NULL,
    silent   INTEGER NOT NULL, -- without an answer, or not in time
    saved    INTEGER NOT NULL, -- answers that needed no call
    refused  INTEGER NOT NULL, -- calls not made
    matched  INTEGER NOT NULL,
    wrong    INTEGER NOT NULL, -- not one person's
    absent   INTEGER NOT NULL, -- in no database
    spent    INTEGER NOT NULL, -- minor units
    budget   INTEGER NOT NULL, -- of the process
    PRIMARY KEY (day, process)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE identity_spending;
DROP INDEX gateway_order_payee;
DROP INDEX gateway_operation_done;
DROP INDEX gateway_payment_paid;
DROP INDEX gateway_payment_made;
