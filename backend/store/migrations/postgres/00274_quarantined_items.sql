-- +goose Up
-- Numbers that closed days told of as quarantined: a good record that comes later is a correction of what was told.
CREATE INDEX settlement_item_quarantined ON settlement_item (day) WHERE reason = 'quarantined';

-- +goose Down
DROP INDEX settlement_item_quarantined;
