-- +goose Up
-- A seal over each hold, as over the rows of accounts (00080).
ALTER TABLE account_hold ADD COLUMN seal BYTEA NOT NULL DEFAULT ''; -- HMAC-SHA256; empty while the books are not sealed
-- 1 once the holds are sealed: one whose seal is missing was written by somebody else from then on.
ALTER TABLE account_seal ADD COLUMN holds BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE account_seal DROP COLUMN holds;
ALTER TABLE account_hold DROP COLUMN seal;
