-- +goose Up
-- Red packets: orders whose money is held until holders claim shares of it.
CREATE TABLE gateway_packet (
    order_id TEXT PRIMARY KEY,
    split    TEXT NOT NULL,             -- even | lucky
    until_ms INTEGER NOT NULL DEFAULT 0 -- when what nobody has claimed goes back; 0 while it is not paid
) STRICT;

-- Its shares, drawn when it was ordered and given away in their order. Each holder has one at most.
CREATE TABLE gateway_share (
    order_id TEXT NOT NULL,
    n        INTEGER NOT NULL,          -- 1, 2, 3 … within the order
    amount   INTEGER NOT NULL,
    holder   TEXT NOT NULL DEFAULT '',  -- who has claimed it, '' for nobody
    idem     TEXT NOT NULL DEFAULT '',  -- the claim's key
    at_ms    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, n)
) STRICT;
CREATE UNIQUE INDEX gateway_share_holder ON gateway_share (order_id, holder) WHERE holder <> '';
CREATE UNIQUE INDEX gateway_share_idem ON gateway_share (order_id, idem) WHERE idem <> '';

-- +goose Down
DROP TABLE gateway_share;
DROP TABLE gateway_packet;
