-- +goose Up
-- What merchants pay for what is paid online, and what they get back of it: a row for each part. All rows of an order add up to what it costs.
CREATE TABLE gateway_fee (
    order_id   TEXT COLLATE "C" NOT NULL,
    n          BIGINT NOT NULL, -- 1, 2, 3 … within the order
    entry      TEXT COLLATE "C" NOT NULL,    -- that books it
    kind       TEXT COLLATE "C" NOT NULL,    -- of the fee standard's charge or tax; '' : a plain rate
    account    TEXT COLLATE "C" NOT NULL,    -- that has it
    amount     BIGINT NOT NULL, -- negative: given back
    rate       TEXT COLLATE "C" NOT NULL,    -- the operator's name for the fee standards, '' for none
    since      TEXT COLLATE "C" NOT NULL,    -- first day of the term that was in force, '' for none
    basis      BIGINT NOT NULL, -- what the fee was taken of
    gives_back BIGINT NOT NULL, -- 1: refunds give a part of it back
    at_ms      BIGINT NOT NULL,
    PRIMARY KEY (order_id, n)
);

-- +goose Down
DROP TABLE gateway_fee;
