-- +goose Up
-- Taps whose records came too late. late: 0 in time, 1 too late, 2 too late and officers grant it all the same, 3 too late and officers deny it.
-- expired: 1 if the last closed day paid nothing for it because it was late.
ALTER TABLE settled ADD COLUMN late BIGINT NOT NULL DEFAULT 0;
ALTER TABLE settled ADD COLUMN expired BIGINT NOT NULL DEFAULT 0;
CREATE INDEX settled_expired ON settled (late) WHERE expired = 1;
-- What a day expired, and what it took back of what an earlier day had.
ALTER TABLE settlement_item ADD COLUMN expired BIGINT NOT NULL DEFAULT 0;
ALTER TABLE settlement_item ADD COLUMN was_expired BIGINT NOT NULL DEFAULT 0;
-- Days between tap and arrival after which a day that closes expires a tap; 0: never.
ALTER TABLE settlement_day ADD COLUMN expire_after BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE settlement_day DROP COLUMN expire_after;
ALTER TABLE settlement_item DROP COLUMN was_expired;
ALTER TABLE settlement_item DROP COLUMN expired;
DROP INDEX settled_expired;
ALTER TABLE settled DROP COLUMN expired;
ALTER TABLE settled DROP COLUMN late;
