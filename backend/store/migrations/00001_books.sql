-- +goose Up
CREATE TABLE account (
    name    TEXT PRIMARY KEY,
    class   TEXT NOT NULL,
    balance INTEGER NOT NULL -- minor units, debits positive
) STRICT;

CREATE TABLE journal_entry (
    id     TEXT PRIMARY KEY,
    kind   TEXT NOT NULL,
    day    TEXT NOT NULL, -- clearing day, YYYY-MM-DD
    ref    TEXT NOT NULL,
    digest TEXT NOT NULL
) STRICT;

CREATE TABLE journal_line (
    entry   TEXT NOT NULL REFERENCES journal_entry (id),
    line    INTEGER NOT NULL,
    account TEXT NOT NULL,
    amount  INTEGER NOT NULL,
    PRIMARY KEY (entry, line)
) STRICT;
CREATE INDEX journal_line_account ON journal_line (account);

-- Parties.
CREATE TABLE acquirer (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    fees TEXT NOT NULL -- JSON list of fee standards
) STRICT;

CREATE TABLE merchant (
    id       TEXT PRIMARY KEY,
    acquirer TEXT NOT NULL REFERENCES acquirer (id),
    name     TEXT NOT NULL
) STRICT;

CREATE TABLE terminal (
    id         TEXT PRIMARY KEY,
    merchant   TEXT NOT NULL REFERENCES merchant (id),
    psam       BLOB NOT NULL, -- 6-byte terminal number
    public_key BLOB NOT NULL, -- Ed25519
    status     TEXT NOT NULL, -- active | stopped
    last_seen  INTEGER NOT NULL DEFAULT 0, -- Unix ms
    backlog    INTEGER NOT NULL DEFAULT 0,
    place      TEXT NOT NULL DEFAULT ''
) STRICT;

-- +goose Down
DROP TABLE terminal;
DROP TABLE merchant;
DROP TABLE acquirer;
DROP TABLE journal_line;
DROP TABLE journal_entry;
DROP TABLE account;
