-- +goose Up
-- What risk and reconciliation look for again and again: payments made lately that risk was not asked about, what an account moved in a span, and what was transferred to a merchant.
CREATE INDEX gateway_payment_made ON gateway_payment (created_ms);
CREATE INDEX gateway_payment_paid ON gateway_payment (channel, paid_ms) WHERE paid_ms > 0;
CREATE INDEX gateway_operation_done ON gateway_operation (channel, done_ms) WHERE done_ms > 0;
CREATE INDEX gateway_order_payee ON gateway_order (payee, paid_ms) WHERE payee <> '' AND paid_ms > 0;

-- What identity questions of a day were and cost, by the process that asked.
CREATE TABLE identity_spending (
    day      TEXT COLLATE "C" NOT NULL, -- where the scheme is
    process  TEXT COLLATE "C" NOT NULL,
    calls    BIGINT NOT NULL,
    silent   BIGINT NOT NULL, -- without an answer, or not in time
    saved    BIGINT NOT NULL, -- answers that needed no call
    refused  BIGINT NOT NULL, -- calls not made
    matched  BIGINT NOT NULL,
    wrong    BIGINT NOT NULL, -- not one person's
    absent   BIGINT NOT NULL, -- in no database
    spent    BIGINT NOT NULL, -- minor units
    budget   BIGINT NOT NULL, -- of the process
    PRIMARY KEY (day, process)
);

-- +goose Down
DROP TABLE identity_spending;
DROP INDEX gateway_order_payee;
DROP INDEX gateway_operation_done;
DROP INDEX gateway_payment_paid;
DROP INDEX gateway_payment_made;
