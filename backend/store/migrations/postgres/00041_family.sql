-- +goose Up
-- The family of a card's purse: how its counters run (shadowaccount), and who reads its records.
ALTER TABLE card ADD COLUMN family TEXT COLLATE "C" NOT NULL DEFAULT 'ep';

-- +goose Down
ALTER TABLE card DROP COLUMN family;
