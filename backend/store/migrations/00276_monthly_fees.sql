-- +goose Up
-- Fees that are taken once a month, by the clearing day that settled them: what it added to what a merchant owes, and what of earlier months it took.
CREATE TABLE settlement_monthly (
    day       TEXT NOT NULL REFERENCES settlement_day (day),
    acquirer  TEXT NOT NULL,
    merchant  TEXT NOT NULL,
    accrued   INTEGER NOT NULL DEFAULT 0, -- minor units; less than zero where more went back than was charged
    collected INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, acquirer, merchant)
) STRICT;

-- +goose Down
DROP TABLE settlement_monthly;
