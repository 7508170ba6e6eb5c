-- +goose Up
-- What a party is charged, over time: a JSON schedule of fee standards. It goes before the party's list in acquirer or
-- channel; a merchant's goes before its acquirer's.
CREATE TABLE contract (
    kind     TEXT COLLATE "C" NOT NULL, -- acquirer | channel | merchant
    party    TEXT COLLATE "C" NOT NULL,
    schedule TEXT COLLATE "C" NOT NULL,
    noted_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, party)
);

-- The fee standards of a merchant with a contract of its own, as they were when the day closed. Others are charged by
-- their acquirer's, in settlement_party.
CREATE TABLE settlement_merchant (
    day      TEXT COLLATE "C" NOT NULL REFERENCES settlement_day (day),
    merchant TEXT COLLATE "C" NOT NULL,
    fees     TEXT COLLATE "C" NOT NULL, -- JSON list of fee standards
    since    TEXT COLLATE "C" NOT NULL, -- first day that charges per month count
    PRIMARY KEY (day, merchant)
);

ALTER TABLE settlement_party ADD COLUMN since TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE settlement_day ADD COLUMN version BIGINT NOT NULL DEFAULT 1; -- of the report's format when the day closed

-- +goose Down
ALTER TABLE settlement_day DROP COLUMN version;
ALTER TABLE settlement_party DROP COLUMN since;
DROP TABLE settlement_merchant;
DROP TABLE contract;
