-- +goose Up
-- A payment channel we are owed by. Fees is a JSON list of fee standards; inside: the issuer bears them.
CREATE TABLE channel (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    fees TEXT NOT NULL
) STRICT;

-- A closed clearing day. There is no row while it is open.
CREATE TABLE settlement_day (
    day       TEXT PRIMARY KEY, -- YYYY-MM-DD
    term      TEXT NOT NULL,    -- T+1, D+1
    due       TEXT NOT NULL,
    closed_ms INTEGER NOT NULL,
    digest    TEXT NOT NULL,    -- SHA-256 of the JSON report, hexadecimal
    paid_ms   INTEGER NOT NULL DEFAULT 0,
    bank_ref  TEXT NOT NULL DEFAULT ''
) STRICT;

-- A party's inputs of a day as they were when it closed, and the position that came out.
CREATE TABLE settlement_party (
    day      TEXT NOT NULL REFERENCES settlement_day (day),
    kind     TEXT NOT NULL, -- acquirer | channel
    party    TEXT NOT NULL,
    name     TEXT NOT NULL,
    fees     TEXT NOT NULL, -- JSON list of fee standards
    loads    INTEGER NOT NULL, -- acquirer: loads sold for cash; channel: loads paid through it
    net      INTEGER NOT NULL, -- positive: we owe it
    PRIMARY KEY (day, kind, party)
) STRICT;

-- What a day settled of one tap (card not empty) or one record that could not be read (card empty): its state now and
-- the state an earlier closed day left it in. Never changed once written.
CREATE TABLE settlement_item (
    day        TEXT NOT NULL REFERENCES settlement_day (day),
    card       BLOB NOT NULL,
    counter    INTEGER NOT NULL,
    terminal   TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    tap        INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    merchant   TEXT NOT NULL,
    acquirer   TEXT NOT NULL,
    arrived    TEXT NOT NULL, -- clearing day of arrival
    class      TEXT NOT NULL, -- accepted | rejected | suspect | void
    reason     TEXT NOT NULL,
    amount     INTEGER NOT NULL,
    was_day    TEXT NOT NULL, -- '' for the first time
    was_class  TEXT NOT NULL,
    was_amount INTEGER NOT NULL,
    PRIMARY KEY (day, terminal, epoch, tap, seq, card, counter)
) STRICT, WITHOUT ROWID;
CREATE INDEX settlement_item_tap ON settlement_item (terminal, epoch, tap, seq);

-- The state the last closed day left a tap in, so that the next close finds what has changed without reading all days.
CREATE TABLE settled (
    card     BLOB NOT NULL,
    counter  INTEGER NOT NULL,
    terminal TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    tap      INTEGER NOT NULL,
    day      TEXT NOT NULL, -- that the state was settled in
    acquirer TEXT NOT NULL, -- that it was settled with: a correction goes to the same
    status   INTEGER NOT NULL,
    amount   INTEGER NOT NULL,
    PRIMARY KEY (card, counter, terminal, epoch, tap)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE settled;
DROP TABLE settlement_item;
DROP TABLE settlement_party;
DROP TABLE settlement_day;
DROP TABLE channel;
