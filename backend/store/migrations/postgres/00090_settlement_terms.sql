-- +goose Up
-- What else the files of a closed day follow from, as it was when the day closed.
ALTER TABLE settlement_day ADD COLUMN currency TEXT COLLATE "C" NOT NULL DEFAULT 'CNY';
ALTER TABLE settlement_day ADD COLUMN case_after BIGINT NOT NULL DEFAULT 30; -- days after which what is held becomes a case

-- +goose Down
ALTER TABLE settlement_day DROP COLUMN case_after;
ALTER TABLE settlement_day DROP COLUMN currency;
