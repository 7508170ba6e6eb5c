-- +goose Up
-- What is known of a bank card whose number lies sealed in the vault. No digit of the number but the last four is here.
CREATE TABLE vault_card (
    token   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    last    TEXT COLLATE "C" NOT NULL,    -- four digits
    bank    TEXT COLLATE "C" NOT NULL,    -- by the BIN table when it was kept; '' : not known
    type    TEXT COLLATE "C" NOT NULL,    -- debit | credit | prepaid; '' : not known
    scheme  TEXT COLLATE "C" NOT NULL,    -- visa | mastercard | unionpay | other
    made_ms BIGINT NOT NULL
);

-- +goose Down
DROP TABLE vault_card;
