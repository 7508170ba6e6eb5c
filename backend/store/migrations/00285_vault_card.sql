-- +goose Up
-- What is known of a bank card whose number lies sealed in the vault. No digit of the number but the last four is here.
CREATE TABLE vault_card (
    token   TEXT NOT NULL PRIMARY KEY,
    last    TEXT NOT NULL,    -- four digits
    bank    TEXT NOT NULL,    -- by the BIN table when it was kept; '' : not known
    type    TEXT NOT NULL,    -- debit | credit | prepaid; '' : not known
    scheme  TEXT NOT NULL,    -- visa | mastercard | unionpay | other
    made_ms INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE vault_card;
