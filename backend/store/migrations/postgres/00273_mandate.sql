-- +goose Up
-- That a party has signed that its account may be debited for what it owes.
CREATE TABLE party_mandate (
    kind     TEXT COLLATE "C" NOT NULL, -- acquirer | channel
    party    TEXT COLLATE "C" NOT NULL,
    id       TEXT COLLATE "C" NOT NULL,
    signed   TEXT COLLATE "C" NOT NULL, -- YYYY-MM-DD
    creditor TEXT COLLATE "C" NOT NULL, -- by which the bank knows the scheme among those who may debit
    noted_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, party)
);
-- Messages that collect (pain.008), and what each of their payments rests on.
ALTER TABLE bank_message ADD COLUMN creditor TEXT COLLATE "C" NOT NULL DEFAULT ''; -- '' for a message that pays
ALTER TABLE bank_payment ADD COLUMN mandate TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE bank_payment ADD COLUMN signed TEXT COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE bank_payment DROP COLUMN signed;
ALTER TABLE bank_payment DROP COLUMN mandate;
ALTER TABLE bank_message DROP COLUMN creditor;
DROP TABLE party_mandate;
