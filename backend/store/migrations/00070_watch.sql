-- +goose Up
-- What the watch needs of a posted record beside the money: when, where, by which list and with which PSAM it was made.
CREATE TABLE watch_fact (
    terminal     TEXT NOT NULL,
    epoch        INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    tap          INTEGER NOT NULL,
    at_ms        INTEGER NOT NULL, -- terminal time
    error_ms     INTEGER NOT NULL, -- bound of its error
    sure         INTEGER NOT NULL, -- 0: the time proves nothing
    spot         TEXT NOT NULL,    -- line and station, LLLL/SSSS; '' for none
    psam         BLOB NOT NULL,    -- 6 bytes, or none
    psam_serial  INTEGER NOT NULL, -- the PSAM's own number of the purchase
    deny_version INTEGER NOT NULL,
    received_ms  INTEGER NOT NULL,
    ahead_ms     INTEGER NOT NULL, -- by how much at_ms is later than received_ms, beyond its error
    PRIMARY KEY (terminal, epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX watch_fact_tap ON watch_fact (terminal, epoch, tap);
CREATE INDEX watch_fact_psam ON watch_fact (psam, psam_serial);
CREATE INDEX watch_fact_ahead ON watch_fact (terminal, epoch, received_ms) WHERE ahead_ms > 0;

-- Runs of a PSAM's numbers of which no record has come.
CREATE TABLE watch_hole (
    psam     BLOB NOT NULL,
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    since_ms INTEGER NOT NULL, -- when the record above it came
    PRIMARY KEY (psam, first)
) STRICT, WITHOUT ROWID;

-- What is suspicious, and what was. A row is never deleted: one that is explained is cleared.
CREATE TABLE watch_finding (
    kind     TEXT NOT NULL, -- card | terminal | psam
    subject  TEXT NOT NULL, -- a card's token, a terminal's id, a PSAM's number
    code     TEXT NOT NULL,
    item     TEXT NOT NULL, -- what it is about, for ever the same
    detail   TEXT NOT NULL,
    state    TEXT NOT NULL, -- open | cleared
    first_ms INTEGER NOT NULL, -- first opened
    last_ms  INTEGER NOT NULL, -- last opened, cleared, or found with another detail
    PRIMARY KEY (kind, subject, code, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX watch_finding_state ON watch_finding (state, code, kind, subject, item);

-- Which deny list names a card.
CREATE TABLE watch_denial (
    card    BLOB PRIMARY KEY,
    version INTEGER NOT NULL, -- first list that does
    until   INTEGER NOT NULL, -- first list that no longer does, 0: none
    at_ms   INTEGER NOT NULL  -- when version was published
) STRICT, WITHOUT ROWID;

-- Cards that the watch must look at though no record came; n tells a later call from the one that was answered.
CREATE TABLE watch_look (
    card BLOB PRIMARY KEY,
    n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How far the watch has come.
CREATE TABLE watch_mark (
    name TEXT PRIMARY KEY,
    n    INTEGER NOT NULL
) STRICT;

-- Few claims are open at a time (3: unknown), and the watch looks at them again and again.
CREATE INDEX claim_open ON claim (card) WHERE status = 3;

-- +goose Down
DROP INDEX claim_open;
DROP TABLE watch_mark;
DROP TABLE watch_look;
DROP TABLE watch_denial;
DROP TABLE watch_finding;
DROP TABLE watch_hole;
DROP TABLE watch_fact;
