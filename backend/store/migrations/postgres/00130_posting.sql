-- +goose Up
-- Where the audit of a card's chain can go on with a debit after the last: with the loads from this online counter on. -1: it must begin
-- with the first (shadowaccount.End).
ALTER TABLE card ADD COLUMN loads_from BIGINT NOT NULL DEFAULT -1;

-- +goose Down
ALTER TABLE card DROP COLUMN loads_from;
