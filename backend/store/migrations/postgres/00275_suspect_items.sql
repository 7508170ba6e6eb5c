-- +goose Up
-- What stood as suspect when a day closed: a close and a report look for it in all days before.
CREATE INDEX settlement_item_suspect ON settlement_item (day) WHERE class = 'suspect';

-- +goose Down
DROP INDEX settlement_item_suspect;
