-- +goose Up
-- A payment channel we are owed by. Fees is a JSON list of fee standards; inside: the issuer bears them.
CREATE TABLE channel (
    id   TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    fees TEXT COLLATE "C" NOT NULL
);

-- A closed clearing day. There is no row while it is open.
CREATE TABLE settlement_day (
    day       TEXT COLLATE "C" PRIMARY KEY, -- YYYY-MM-DD
    term      TEXT COLLATE "C" NOT NULL,    -- T+1, D+1
    due       TEXT COLLATE "C" NOT NULL,
    closed_ms BIGINT NOT NULL,
    digest    TEXT COLLATE "C" NOT NULL,    -- SHA-256 of the JSON report, hexadecimal
    paid_ms   BIGINT NOT NULL DEFAULT 0,
    bank_ref  TEXT COLLATE "C" NOT NULL DEFAULT ''
);

-- A party's inputs of a day as they were when it closed, and the position that came out.
CREATE TABLE settlement_party (
    day      TEXT COLLATE "C" NOT NULL REFERENCES settlement_day (day),
    kind     TEXT COLLATE "C" NOT NULL, -- acquirer | channel
    party    TEXT COLLATE "C" NOT NULL,
    name     TEXT COLLATE "C" NOT NULL,
    fees     TEXT COLLATE "C" NOT NULL, -- JSON list of fee standards
    loads    BIGINT NOT NULL, -- acquirer: loads sold for cash; channel: loads paid through it
    net      BIGINT NOT NULL, -- positive: we owe it
    PRIMARY KEY (day, kind, party)
);

-- What a day settled of one tap (card not empty) or one record that could not be read (card empty): its state now and
-- the state an earlier closed day left it in. Never changed once written.
CREATE TABLE settlement_item (
    day        TEXT COLLATE "C" NOT NULL REFERENCES settlement_day (day),
    card       BYTEA NOT NULL,
    counter    BIGINT NOT NULL,
    terminal   TEXT COLLATE "C" NOT NULL,
    epoch      BIGINT NOT NULL,
    tap        BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    merchant   TEXT COLLATE "C" NOT NULL,
    acquirer   TEXT COLLATE "C" NOT NULL,
    arrived    TEXT COLLATE "C" NOT NULL, -- clearing day of arrival
    class      TEXT COLLATE "C" NOT NULL, -- accepted | rejected | suspect | void
    reason     TEXT COLLATE "C" NOT NULL,
    amount     BIGINT NOT NULL,
    was_day    TEXT COLLATE "C" NOT NULL, -- '' for the first time
    was_class  TEXT COLLATE "C" NOT NULL,
    was_amount BIGINT NOT NULL,
    PRIMARY KEY (day, terminal, epoch, tap, seq, card, counter)
);
CREATE INDEX settlement_item_tap ON settlement_item (terminal, epoch, tap, seq);

-- The state the last closed day left a tap in, so that the next close finds what has changed without reading all days.
CREATE TABLE settled (
    card     BYTEA NOT NULL,
    counter  BIGINT NOT NULL,
    terminal TEXT COLLATE "C" NOT NULL,
    epoch    BIGINT NOT NULL,
    tap      BIGINT NOT NULL,
    day      TEXT COLLATE "C" NOT NULL, -- that the state was settled in
    acquirer TEXT COLLATE "C" NOT NULL, -- that it was settled with: a correction goes to the same
    status   BIGINT NOT NULL,
    amount   BIGINT NOT NULL,
    PRIMARY KEY (card, counter, terminal, epoch, tap)
);

-- +goose Down
DROP TABLE settled;
DROP TABLE settlement_item;
DROP TABLE settlement_party;
DROP TABLE settlement_day;
DROP TABLE channel;
