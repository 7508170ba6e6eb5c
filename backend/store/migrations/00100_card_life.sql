-- +goose Up
-- What becomes of the value of a card that will not be used again. States and moves are cardlife's table.
CREATE TABLE life_order (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL, -- transfer | cash | breakage
    card         BLOB NOT NULL,
    target       BLOB NOT NULL, -- card that the value goes to, empty for none
    agent        TEXT NOT NULL, -- acquirer at whose desk the value is handed over, '' for breakage
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    approved_by  TEXT NOT NULL DEFAULT '',
    requested_ms INTEGER NOT NULL,
    due_ms       INTEGER NOT NULL,
    changed_ms   INTEGER NOT NULL,
    amount       INTEGER NOT NULL DEFAULT 0, -- that left the card's shadow account
    load_order   TEXT NOT NULL DEFAULT '' -- that has the value now
) STRICT;
-- One open order a card: the rule stands here too, whatever the code above does.
CREATE UNIQUE INDEX life_order_open ON life_order (card) WHERE state IN ('requested', 'settling');
CREATE INDEX life_order_card ON life_order (card);
CREATE INDEX life_order_state ON life_order (state, due_ms);
CREATE INDEX life_order_load ON life_order (load_order) WHERE load_order <> '';

-- +goose Down
DROP TABLE life_order;
