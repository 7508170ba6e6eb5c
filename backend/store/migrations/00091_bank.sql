-- +goose Up
-- The bank account of a party: whom a position is paid to. The scheme's own has kind "scheme" and party "trust".
CREATE TABLE party_account (
    kind     TEXT NOT NULL, -- acquirer | channel | scheme
    party    TEXT NOT NULL,
    name     TEXT NOT NULL,
    number   TEXT NOT NULL,
    bank     TEXT NOT NULL,
    noted_ms INTEGER NOT NULL,
    PRIMARY KEY (kind, party)
) STRICT;

-- A message with orders to the bank, as it was given: its file is made from this row and its payments.
CREATE TABLE bank_message (
    id         TEXT PRIMARY KEY,
    day        TEXT NOT NULL REFERENCES settlement_day (day),
    number     INTEGER NOT NULL, -- of the day, from 1
    created_ms INTEGER NOT NULL,
    initiator  TEXT NOT NULL,
    due        TEXT NOT NULL,
    name       TEXT NOT NULL, -- of the account that it is paid from
    account    TEXT NOT NULL,
    bank       TEXT NOT NULL,
    currency   TEXT NOT NULL,
    state      TEXT NOT NULL, -- of the bank's last status report, '' for none
    UNIQUE (day, number)
) STRICT;

-- One party's position of a day on its way through the bank. A payment that came back is followed by another attempt.
CREATE TABLE bank_payment (
    id       TEXT PRIMARY KEY, -- end to end
    day      TEXT NOT NULL REFERENCES settlement_day (day),
    kind     TEXT NOT NULL,
    party    TEXT NOT NULL,
    attempt  INTEGER NOT NULL, -- from 1
    message  TEXT NOT NULL,    -- '' for what a party pays us
    incoming INTEGER NOT NULL, -- 1: the party pays us
    amount   INTEGER NOT NULL, -- more than 0
    name     TEXT NOT NULL,
    account  TEXT NOT NULL,
    bank     TEXT NOT NULL,
    state    TEXT NOT NULL,    -- expected | ordered | accepted | rejected | paid | returned
    moved    INTEGER NOT NULL, -- 1: the position is off the party's account
    reason   TEXT NOT NULL,
    noted_ms INTEGER NOT NULL,
    UNIQUE (day, kind, party, attempt)
) STRICT;

-- Every booked line of every statement that was read, once.
CREATE TABLE bank_entry (
    account   TEXT NOT NULL,
    statement TEXT NOT NULL,
    ref       TEXT NOT NULL,
    digest    TEXT NOT NULL, -- SHA-256 of what the line says
    day       TEXT NOT NULL, -- of booking, as the bank says
    amount    INTEGER NOT NULL,
    currency  TEXT NOT NULL,
    credit    INTEGER NOT NULL,
    payments  TEXT NOT NULL, -- ids of payments of ours that it booked or returned, with a space between
    unmatched INTEGER NOT NULL, -- minor units of it that no payment of ours explains
    text      TEXT NOT NULL,
    read_ms   INTEGER NOT NULL,
    PRIMARY KEY (account, statement, ref)
) STRICT, WITHOUT ROWID;

-- What somebody must look at.
CREATE TABLE bank_alarm (
    about    TEXT NOT NULL, -- a payment, a message, or account/statement/ref
    what     TEXT NOT NULL,
    digest   TEXT NOT NULL, -- SHA-256 of text: one alarm is raised once
    text     TEXT NOT NULL,
    noted_ms INTEGER NOT NULL,
    PRIMARY KEY (about, what, digest)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE bank_alarm;
DROP TABLE bank_entry;
DROP TABLE bank_payment;
DROP TABLE bank_message;
DROP TABLE party_account;
