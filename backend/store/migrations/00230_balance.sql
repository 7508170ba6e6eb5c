-- +goose Up
-- Payments out of holders' balances, as the channel "balance" keeps them. What was refused or closed stays, so that its number is never taken again.
CREATE TABLE balance_payment (
    number   TEXT PRIMARY KEY,
    holder   TEXT NOT NULL,
    amount   INTEGER NOT NULL,
    state    TEXT NOT NULL,    -- paid | held | released | failed | closed
    code     TEXT NOT NULL,    -- why it failed, else ''
    paid     INTEGER NOT NULL, -- of a captured hold less than amount
    refunded INTEGER NOT NULL,
    made_ms  INTEGER NOT NULL,
    paid_ms  INTEGER NOT NULL  -- 0 while it is not paid
) STRICT;
CREATE INDEX balance_payment_day ON balance_payment (paid_ms);

-- Refunds, captures and releases of them that were done.
CREATE TABLE balance_step (
    number  TEXT PRIMARY KEY,
    payment TEXT NOT NULL,
    kind    TEXT NOT NULL,    -- refund | capture | release
    amount  INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX balance_step_day ON balance_step (at_ms);

-- +goose Down
DROP TABLE balance_step;
DROP TABLE balance_payment;
