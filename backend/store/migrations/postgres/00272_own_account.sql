-- +goose Up
-- What is kept to on the scheme's own accounts at banks. Their numbers are in party_account, kind scheme; the trust account is "trust".
CREATE TABLE own_account (
    id        TEXT COLLATE "C" PRIMARY KEY,
    minimum   BIGINT NOT NULL, -- minor units that stay there
    most_once BIGINT NOT NULL, -- that one transfer may take; 0: no limit
    most_day  BIGINT NOT NULL, -- that the transfers of a day may take; 0: no limit
    noted_ms  BIGINT NOT NULL
);

-- Money that moves from one own account to another.
CREATE TABLE own_transfer (
    id          TEXT COLLATE "C" PRIMARY KEY, -- of the message and of its one payment
    number      BIGINT NOT NULL UNIQUE, -- from 1
    from_id     TEXT COLLATE "C" NOT NULL,
    to_id       TEXT COLLATE "C" NOT NULL,
    amount      BIGINT NOT NULL,
    currency    TEXT COLLATE "C" NOT NULL,
    reason      TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,    -- proposed | ordered | rejected | returned | done | refused
    proposed_by TEXT COLLATE "C" NOT NULL,
    proposed_ms BIGINT NOT NULL,
    decided_by  TEXT COLLATE "C" NOT NULL,
    decided_ms  BIGINT NOT NULL,
    note        TEXT COLLATE "C" NOT NULL,
    day         TEXT COLLATE "C" NOT NULL,    -- on which it was ordered, else ''
    initiator   TEXT COLLATE "C" NOT NULL,
    from_name   TEXT COLLATE "C" NOT NULL,
    from_number TEXT COLLATE "C" NOT NULL,
    from_bank   TEXT COLLATE "C" NOT NULL,
    to_name     TEXT COLLATE "C" NOT NULL,
    to_number   TEXT COLLATE "C" NOT NULL,
    to_bank     TEXT COLLATE "C" NOT NULL,
    gone        BIGINT NOT NULL, -- 1: a statement of the one account shows it
    arrived     BIGINT NOT NULL  -- 1: a statement of the other shows it
);
CREATE INDEX own_transfer_state ON own_transfer (state, number);

-- Closing balances, as the banks' statements say them.
CREATE TABLE bank_balance (
    account   TEXT COLLATE "C" NOT NULL, -- its number
    day       TEXT COLLATE "C" NOT NULL,
    statement TEXT COLLATE "C" NOT NULL,
    amount    BIGINT NOT NULL,
    currency  TEXT COLLATE "C" NOT NULL,
    read_ms   BIGINT NOT NULL,
    PRIMARY KEY (account, day)
);

-- +goose Down
DROP TABLE bank_balance;
DROP TABLE own_transfer;
DROP TABLE own_account;
