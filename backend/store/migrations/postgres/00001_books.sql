-- +goose Up
CREATE TABLE account (
    name    TEXT COLLATE "C" PRIMARY KEY,
    class   TEXT COLLATE "C" NOT NULL,
    balance BIGINT NOT NULL -- minor units, debits positive
);

CREATE TABLE journal_entry (
    id     TEXT COLLATE "C" PRIMARY KEY,
    kind   TEXT COLLATE "C" NOT NULL,
    day    TEXT COLLATE "C" NOT NULL, -- clearing day, YYYY-MM-DD
    ref    TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL
);

CREATE TABLE journal_line (
    entry   TEXT COLLATE "C" NOT NULL REFERENCES journal_entry (id),
    line    BIGINT NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    amount  BIGINT NOT NULL,
    PRIMARY KEY (entry, line)
);
CREATE INDEX journal_line_account ON journal_line (account);

-- Parties.
CREATE TABLE acquirer (
    id   TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    fees TEXT COLLATE "C" NOT NULL -- JSON list of fee standards
);

CREATE TABLE merchant (
    id       TEXT COLLATE "C" PRIMARY KEY,
    acquirer TEXT COLLATE "C" NOT NULL REFERENCES acquirer (id),
    name     TEXT COLLATE "C" NOT NULL
);

CREATE TABLE terminal (
    id         TEXT COLLATE "C" PRIMARY KEY,
    merchant   TEXT COLLATE "C" NOT NULL REFERENCES merchant (id),
    psam       BYTEA NOT NULL, -- 6-byte terminal number
    public_key BYTEA NOT NULL, -- Ed25519
    status     TEXT COLLATE "C" NOT NULL, -- active | stopped
    last_seen  BIGINT NOT NULL DEFAULT 0, -- Unix ms
    backlog    BIGINT NOT NULL DEFAULT 0,
    place      TEXT COLLATE "C" NOT NULL DEFAULT ''
);

-- +goose Down
DROP TABLE terminal;
DROP TABLE merchant;
DROP TABLE acquirer;
DROP TABLE journal_line;
DROP TABLE journal_entry;
DROP TABLE account;
