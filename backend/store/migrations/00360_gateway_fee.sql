-- +goose Up
-- What merchants pay for what is paid online, and what they get back of it: a row for each part. All rows of an order add up to what it costs.
CREATE TABLE gateway_fee (
    order_id   TEXT NOT NULL,
    n          INTEGER NOT NULL, -- 1, 2, 3 … within the order
    entry      TEXT NOT NULL,    -- that books it
    kind       TEXT NOT NULL,    -- of the fee standard's charge or tax; '' : a plain rate
    account    TEXT NOT NULL,    -- that has it
    amount     INTEGER NOT NULL, -- negative: given back
    rate       TEXT NOT NULL,    -- the operator's name for the fee standards, '' for none
    since      TEXT NOT NULL,    -- first day of the term that was in force, '' for none
    basis      INTEGER NOT NULL, -- what the fee was taken of
    gives_back INTEGER NOT NULL, -- 1: refunds give a part of it back
    at_ms      INTEGER NOT NULL,
    PRIMARY KEY (order_id, n)
) STRICT;

-- +goose Down
DROP TABLE gateway_fee;
