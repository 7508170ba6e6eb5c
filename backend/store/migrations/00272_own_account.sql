-- +goose Up
-- What is kept to on the scheme's own accounts at banks. Their numbers are in party_account, kind scheme; the trust account is "trust".
CREATE TABLE own_account (
    id        TEXT PRIMARY KEY,
    minimum   INTEGER NOT NULL, -- minor units that stay there
    most_once INTEGER NOT NULL, -- that one transfer may take; 0: no limit
    most_day  INTEGER NOT NULL, -- that the transfers of a day may take; 0: no limit
    noted_ms  INTEGER NOT NULL
) STRICT;

-- Money that moves from one own account to another.
CREATE TABLE own_transfer (
    id          TEXT PRIMARY KEY, -- of the message and of its one payment
    number      INTEGER NOT NULL UNIQUE, -- from 1
    from_id     TEXT NOT NULL,
    to_id       TEXT NOT NULL,
    amount      INTEGER NOT NULL,
    currency    TEXT NOT NULL,
    reason      TEXT NOT NULL,
    state       TEXT NOT NULL,    -- proposed | ordered | rejected | returned | done | refused
    proposed_by TEXT NOT NULL,
    proposed_ms INTEGER NOT NULL,
    decided_by  TEXT NOT NULL,
    decided_ms  INTEGER NOT NULL,
    note        TEXT NOT NULL,
    day         TEXT NOT NULL,    -- on which it was ordered, else ''
    initiator   TEXT NOT NULL,
    from_name   TEXT NOT NULL,
    from_number TEXT NOT NULL,
    from_bank   TEXT NOT NULL,
    to_name     TEXT NOT NULL,
    to_number   TEXT NOT NULL,
    to_bank     TEXT NOT NULL,
    gone        INTEGER NOT NULL, -- 1: a statement of the one account shows it
    arrived     INTEGER NOT NULL  -- 1: a statement of the other shows it
) STRICT;
CREATE INDEX own_transfer_state ON own_transfer (state, number);

-- Closing balances, as the banks' statements say them.
CREATE TABLE bank_balance (
    account   TEXT NOT NULL, -- its number
    day       TEXT NOT NULL,
    statement TEXT NOT NULL,
    amount    INTEGER NOT NULL,
    currency  TEXT NOT NULL,
    read_ms   INTEGER NOT NULL,
    PRIMARY KEY (account, day)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE bank_balance;
DROP TABLE own_transfer;
DROP TABLE own_account;
