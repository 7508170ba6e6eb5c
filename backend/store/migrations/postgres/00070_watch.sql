-- +goose Up
-- What the watch needs of a posted record beside the money: when, where, by which list and with which PSAM it was made.
CREATE TABLE watch_fact (
    terminal     TEXT COLLATE "C" NOT NULL,
    epoch        BIGINT NOT NULL,
    seq          BIGINT NOT NULL,
    tap          BIGINT NOT NULL,
    at_ms        BIGINT NOT NULL, -- terminal time
    error_ms     BIGINT NOT NULL, -- bound of its error
    sure         BIGINT NOT NULL, -- 0: the time proves nothing
    spot         TEXT COLLATE "C" NOT NULL,    -- line and station, LLLL/SSSS; '' for none
    psam         BYTEA NOT NULL,    -- 6 bytes, or none
    psam_serial  BIGINT NOT NULL, -- the PSAM's own number of the purchase
    deny_version BIGINT NOT NULL,
    received_ms  BIGINT NOT NULL,
    ahead_ms     BIGINT NOT NULL, -- by how much at_ms is later than received_ms, beyond its error
    PRIMARY KEY (terminal, epoch, seq)
);
CREATE INDEX watch_fact_tap ON watch_fact (terminal, epoch, tap);
CREATE INDEX watch_fact_psam ON watch_fact (psam, psam_serial);
CREATE INDEX watch_fact_ahead ON watch_fact (terminal, epoch, received_ms) WHERE ahead_ms > 0;

-- Runs of a PSAM's numbers of which no record has come.
CREATE TABLE watch_hole (
    psam     BYTEA NOT NULL,
    first    BIGINT NOT NULL,
    last     BIGINT NOT NULL,
    since_ms BIGINT NOT NULL, -- when the record above it came
    PRIMARY KEY (psam, first)
);

-- What is suspicious, and what was. A row is never deleted: one that is explained is cleared.
CREATE TABLE watch_finding (
    kind     TEXT COLLATE "C" NOT NULL, -- card | terminal | psam
    subject  TEXT COLLATE "C" NOT NULL, -- a card's token, a terminal's id, a PSAM's number
    code     TEXT COLLATE "C" NOT NULL,
    item     TEXT COLLATE "C" NOT NULL, -- what it is about, for ever the same
    detail   TEXT COLLATE "C" NOT NULL,
    state    TEXT COLLATE "C" NOT NULL, -- open | cleared
    first_ms BIGINT NOT NULL, -- first opened
    last_ms  BIGINT NOT NULL, -- last opened, cleared, or found with another detail
    PRIMARY KEY (kind, subject, code, item)
);
CREATE INDEX watch_finding_state ON watch_finding (state, code, kind, subject, item);

-- Which deny list names a card.
CREATE TABLE watch_denial (
    card    BYTEA PRIMARY KEY,
    version BIGINT NOT NULL, -- first list that does
    until   BIGINT NOT NULL, -- first list that no longer does, 0: none
    at_ms   BIGINT NOT NULL  -- when version was published
);

-- Cards that the watch must look at though no record came; n tells a later call from the one that was answered.
CREATE TABLE watch_look (
    card BYTEA PRIMARY KEY,
    n    BIGINT NOT NULL
);

-- How far the watch has come.
CREATE TABLE watch_mark (
    name TEXT COLLATE "C" PRIMARY KEY,
    n    BIGINT NOT NULL
);

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
