-- +goose Up
-- The card that a top-up order of the gateway is for, by its token, from the order on; and that its load order is for, from the payment on.
CREATE TABLE gateway_order_card (
    order_id TEXT PRIMARY KEY,
    card     TEXT NOT NULL
) STRICT;

CREATE TABLE load_for (
    load_order TEXT PRIMARY KEY REFERENCES load_order (id),
    card       BLOB NOT NULL -- number
) STRICT;
CREATE INDEX load_for_card ON load_for (card);

-- +goose Down
DROP TABLE load_for;
DROP TABLE gateway_order_card;
