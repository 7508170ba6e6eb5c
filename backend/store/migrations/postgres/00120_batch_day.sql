-- +goose Up
-- The clearing day in which a batch came. It never changes; the day of a record does when its number was quarantined, or its card had no name.
ALTER TABLE batch ADD COLUMN day TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE batch SET day = COALESCE((SELECT MIN(r.day) FROM record r WHERE r.terminal = batch.terminal AND r.epoch = batch.epoch
    AND r.seq >= batch.first_seq AND r.seq <= batch.last_seq AND r.received_ms = batch.received_ms), '');
CREATE INDEX batch_day ON batch (day);

-- +goose Down
DROP INDEX batch_day;
ALTER TABLE batch DROP COLUMN day;
