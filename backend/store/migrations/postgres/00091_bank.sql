-- +goose Up
-- The bank account of a party: whom a position is paid to. The scheme's own has kind "scheme" and party "trust".
CREATE TABLE party_account (
    kind     TEXT COLLATE "C" NOT NULL, -- acquirer | channel | scheme
    party    TEXT COLLATE "C" NOT NULL,
    name     TEXT COLLATE "C" NOT NULL,
    number   TEXT COLLATE "C" NOT NULL,
    bank     TEXT COLLATE "C" NOT NULL,
    noted_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, party)
);

-- A message with orders to the bank, as it was given: its file is made from this row and its payments.
CREATE TABLE bank_message (
    id         TEXT COLLATE "C" PRIMARY KEY,
    day        TEXT COLLATE "C" NOT NULL REFERENCES settlement_day (day),
    number     BIGINT NOT NULL, -- of the day, from 1
    created_ms BIGINT NOT NULL,
    initiator  TEXT COLLATE "C" NOT NULL,
    due        TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL, -- of the account that it is paid from
    account    TEXT COLLATE "C" NOT NULL,
    bank       TEXT COLLATE "C" NOT NULL,
    currency   TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL, -- of the bank's last status report, '' for none
    UNIQUE (day, number)
);

-- One party's position of a day on its way through the bank. A payment that came back is followed by another attempt.
CREATE TABLE bank_payment (
    id       TEXT COLLATE "C" PRIMARY KEY, -- end to end
    day      TEXT COLLATE "C" NOT NULL REFERENCES settlement_day (day),
    kind     TEXT COLLATE "C" NOT NULL,
    party    TEXT COLLATE "C" NOT NULL,
    attempt  BIGINT NOT NULL, -- from 1
    message  TEXT COLLATE "C" NOT NULL,    -- '' for what a party pays us
    incoming BIGINT NOT NULL, -- 1: the party pays us
    amount   BIGINT NOT NULL, -- more than 0
    name     TEXT COLLATE "C" NOT NULL,
    account  TEXT COLLATE "C" NOT NULL,
    bank     TEXT COLLATE "C" NOT NULL,
    state    TEXT COLLATE "C" NOT NULL,    -- expected | ordered | accepted | rejected | paid | returned
    moved    BIGINT NOT NULL, -- 1: the position is off the party's account
    reason   TEXT COLLATE "C" NOT NULL,
    noted_ms BIGINT NOT NULL,
    UNIQUE (day, kind, party, attempt)
);

-- Every booked line of every statement that was read, once.
CREATE TABLE bank_entry (
    account   TEXT COLLATE "C" NOT NULL,
    statement TEXT COLLATE "C" NOT NULL,
    ref       TEXT COLLATE "C" NOT NULL,
    digest    TEXT COLLATE "C" NOT NULL, -- SHA-256 of what the line says
    day       TEXT COLLATE "C" NOT NULL, -- of booking, as the bank says
    amount    BIGINT NOT NULL,
    currency  TEXT COLLATE "C" NOT NULL,
    credit    BIGINT NOT NULL,
    payments  TEXT COLLATE "C" NOT NULL, -- ids of payments of ours that it booked or returned, with a space between
    unmatched BIGINT NOT NULL, -- minor units of it that no payment of ours explains
    text      TEXT COLLATE "C" NOT NULL,
    read_ms   BIGINT NOT NULL,
    PRIMARY KEY (account, statement, ref)
);

-- What somebody must look at.
CREATE TABLE bank_alarm (
    about    TEXT COLLATE "C" NOT NULL, -- a payment, a message, or account/statement/ref
    what     TEXT COLLATE "C" NOT NULL,
    digest   TEXT COLLATE "C" NOT NULL, -- SHA-256 of text: one alarm is raised once
    text     TEXT COLLATE "C" NOT NULL,
    noted_ms BIGINT NOT NULL,
    PRIMARY KEY (about, what, digest)
);

-- +goose Down
DROP TABLE bank_alarm;
DROP TABLE bank_entry;
DROP TABLE bank_payment;
DROP TABLE bank_message;
DROP TABLE party_account;
