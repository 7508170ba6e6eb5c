-- +goose Up
-- Fees that are taken once a month, by the clearing day that settled them: what it added to what a merchant owes, and what of earlier months it took.
CREATE TABLE settlement_monthly (
    day       TEXT COLLATE "C" NOT NULL REFERENCES settlement_day (day),
    acquirer  TEXT COLLATE "C" NOT NULL,
    merchant  TEXT COLLATE "C" NOT NULL,
    accrued   BIGINT NOT NULL DEFAULT 0, -- minor units; less than zero where more went back than was charged
    collected BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (day, acquirer, merchant)
);

-- +goose Down
DROP TABLE settlement_monthly;
