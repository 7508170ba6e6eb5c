-- +goose Up
-- What a payee needs to take a pay-out, such as to confirm it in the channel's own app: JSON, '' for nothing.
ALTER TABLE gateway_operation ADD COLUMN action TEXT COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE gateway_operation DROP COLUMN action;
