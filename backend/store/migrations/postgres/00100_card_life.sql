-- +goose Up
-- What becomes of the value of a card that will not be used again. States and moves are cardlife's table.
CREATE TABLE life_order (
    id           TEXT COLLATE "C" PRIMARY KEY,
    kind         TEXT COLLATE "C" NOT NULL, -- transfer | cash | breakage
    card         BYTEA NOT NULL,
    target       BYTEA NOT NULL, -- card that the value goes to, empty for none
    agent        TEXT COLLATE "C" NOT NULL, -- acquirer at whose desk the value is handed over, '' for breakage
    state        TEXT COLLATE "C" NOT NULL,
    reason       TEXT COLLATE "C" NOT NULL,
    requested_by TEXT COLLATE "C" NOT NULL,
    approved_by  TEXT COLLATE "C" NOT NULL DEFAULT '',
    requested_ms BIGINT NOT NULL,
    due_ms       BIGINT NOT NULL,
    changed_ms   BIGINT NOT NULL,
    amount       BIGINT NOT NULL DEFAULT 0, -- that left the card's shadow account
    load_order   TEXT COLLATE "C" NOT NULL DEFAULT '' -- that has the value now
);
-- One open order a card: the rule stands here too, whatever the code above does.
CREATE UNIQUE INDEX life_order_open ON life_order (card) WHERE state IN ('requested', 'settling');
CREATE INDEX life_order_card ON life_order (card);
CREATE INDEX life_order_state ON life_order (state, due_ms);
CREATE INDEX life_order_load ON life_order (load_order) WHERE load_order <> '';

-- +goose Down
DROP TABLE life_order;
