-- +goose Up
-- The watch keeps less: what a record says beside the money it reads in the record when it needs it, and what it must find by other names it keeps packed, many records a row. All
-- of it comes from the records, so the watch looks at all of them once more.
DROP TABLE watch_fact;
DROP TABLE watch_hole;

-- When a terminal's taps were taken, as far as its clock proves it: runs that do not overlap.
CREATE TABLE watch_stamp (
    terminal    TEXT COLLATE "C" NOT NULL,
    epoch       BIGINT NOT NULL,
    first       BIGINT NOT NULL, -- tap
    last        BIGINT NOT NULL,
    received_ms BIGINT NOT NULL, -- when the latest of them came
    body        BYTEA NOT NULL,    -- store.stampsOf
    PRIMARY KEY (terminal, epoch, first)
);

-- Runs of a PSAM's numbers of which records have come: what is between two of them is missing.
CREATE TABLE watch_serial (
    psam     BYTEA NOT NULL,
    first    BIGINT NOT NULL,
    last     BIGINT NOT NULL,
    since_ms BIGINT NOT NULL, -- when the first of them came
    PRIMARY KEY (psam, first)
);

-- Records that came before the time that they say they were made at. There are few.
CREATE TABLE watch_ahead (
    terminal    TEXT COLLATE "C" NOT NULL,
    epoch       BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    ahead_ms    BIGINT NOT NULL, -- by how much, beyond the error of the clock
    PRIMARY KEY (terminal, epoch, seq)
);
CREATE INDEX watch_ahead_day ON watch_ahead (terminal, epoch, received_ms);

UPDATE watch_mark SET n = 0 WHERE name = 'groups' OR name LIKE 'groups/%';

-- +goose Down
DROP TABLE watch_ahead;
DROP TABLE watch_serial;
DROP TABLE watch_stamp;
CREATE TABLE watch_fact (
    terminal     TEXT COLLATE "C" NOT NULL,
    epoch        BIGINT NOT NULL,
    seq          BIGINT NOT NULL,
    tap          BIGINT NOT NULL,
    at_ms        BIGINT NOT NULL,
    error_ms     BIGINT NOT NULL,
    sure         BIGINT NOT NULL,
    spot         TEXT COLLATE "C" NOT NULL,
    psam         BYTEA NOT NULL,
    psam_serial  BIGINT NOT NULL,
    deny_version BIGINT NOT NULL,
    received_ms  BIGINT NOT NULL,
    ahead_ms     BIGINT NOT NULL,
    PRIMARY KEY (terminal, epoch, seq)
);
CREATE INDEX watch_fact_tap ON watch_fact (terminal, epoch, tap);
CREATE INDEX watch_fact_psam ON watch_fact (psam, psam_serial);
CREATE INDEX watch_fact_ahead ON watch_fact (terminal, epoch, received_ms) WHERE ahead_ms > 0;
CREATE TABLE watch_hole (
    psam     BYTEA NOT NULL,
    first    BIGINT NOT NULL,
    last     BIGINT NOT NULL,
    since_ms BIGINT NOT NULL,
    PRIMARY KEY (psam, first)
);
UPDATE watch_mark SET n = 0 WHERE name = 'groups' OR name LIKE 'groups/%';
