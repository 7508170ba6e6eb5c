-- +goose Up
-- An agreement by which a card is loaded when it holds little: the rule and how far it is, JSON; '' for none.
ALTER TABLE gateway_agreement ADD COLUMN reload TEXT COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE gateway_agreement DROP COLUMN reload;
