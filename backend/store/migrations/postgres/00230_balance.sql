-- +goose Up
-- Payments out of holders' balances, as the channel "balance" keeps them. What was refused or closed stays, so that its number is never taken again.
CREATE TABLE balance_payment (
    number   TEXT COLLATE "C" PRIMARY KEY,
    holder   TEXT COLLATE "C" NOT NULL,
    amount   BIGINT NOT NULL,
    state    TEXT COLLATE "C" NOT NULL,    -- paid | held | released | failed | closed
    code     TEXT COLLATE "C" NOT NULL,    -- why it failed, else ''
    paid     BIGINT NOT NULL, -- of a captured hold less than amount
    refunded BIGINT NOT NULL,
    made_ms  BIGINT NOT NULL,
    paid_ms  BIGINT NOT NULL  -- 0 while it is not paid
);
CREATE INDEX balance_payment_day ON balance_payment (paid_ms);

-- Refunds, captures and releases of them that were done.
CREATE TABLE balance_step (
    number  TEXT COLLATE "C" PRIMARY KEY,
    payment TEXT COLLATE "C" NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL,    -- refund | capture | release
    amount  BIGINT NOT NULL,
    at_ms   BIGINT NOT NULL
);
CREATE INDEX balance_step_day ON balance_step (at_ms);

-- +goose Down
DROP TABLE balance_step;
DROP TABLE balance_payment;
