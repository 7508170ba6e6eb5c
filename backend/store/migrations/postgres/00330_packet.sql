-- +goose Up
-- Red packets: orders whose money is held until holders claim shares of it.
CREATE TABLE gateway_packet (
    order_id TEXT COLLATE "C" PRIMARY KEY,
    split    TEXT COLLATE "C" NOT NULL,             -- even | lucky
    until_ms BIGINT NOT NULL DEFAULT 0 -- when what nobody has claimed goes back; 0 while it is not paid
);

-- Its shares, drawn when it was ordered and given away in their order. Each holder has one at most.
CREATE TABLE gateway_share (
    order_id TEXT COLLATE "C" NOT NULL,
    n        BIGINT NOT NULL,          -- 1, 2, 3 … within the order
    amount   BIGINT NOT NULL,
    holder   TEXT COLLATE "C" NOT NULL DEFAULT '',  -- who has claimed it, '' for nobody
    idem     TEXT COLLATE "C" NOT NULL DEFAULT '',  -- the claim's key
    at_ms    BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, n)
);
CREATE UNIQUE INDEX gateway_share_holder ON gateway_share (order_id, holder) WHERE holder <> '';
CREATE UNIQUE INDEX gateway_share_idem ON gateway_share (order_id, idem) WHERE idem <> '';

-- +goose Down
DROP TABLE gateway_share;
DROP TABLE gateway_packet;
