-- +goose Up
-- A record is not changed any more once it is kept: what is to become of it, and what became of it, stands beside it. A number is in one of these tables. Records of a terminal whose numbers
-- are close together and that have all in common share a row of the first two, a run, so that a batch of plain taps waits in a few rows and leaves a few.
DROP INDEX record_pending;
DROP INDEX record_day;
DROP INDEX record_posted;
CREATE TABLE record_waiting (
    terminal    TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL, -- at most 1023 above first
    marks       BLOB NOT NULL,  -- bit i, the lowest of a byte first: whether first + i is meant; no bytes: all up to last
    records     INTEGER NOT NULL, -- how many are meant
    lane        INTEGER NOT NULL, -- 0 to 15
    day         TEXT NOT NULL, -- clearing day, by arrival
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (terminal, epoch, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE record_posted (
    terminal  TEXT NOT NULL,
    epoch     INTEGER NOT NULL,
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    marks     BLOB NOT NULL,
    posted_in INTEGER NOT NULL, -- posting group
    verdict   TEXT NOT NULL,
    label     TEXT NOT NULL, -- how they looked when they came
    reason    TEXT NOT NULL,
    day       TEXT NOT NULL, -- clearing day
    PRIMARY KEY (terminal, epoch, first)
) STRICT, WITHOUT ROWID;

-- Records that are decided and no group has: unreadable, of a card without a name, or a number whose batch could not be read.
CREATE TABLE record_apart (
    terminal TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    verdict  TEXT NOT NULL,
    reason   TEXT NOT NULL,
    day      TEXT NOT NULL, -- clearing day
    PRIMARY KEY (terminal, epoch, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO record_waiting (terminal, epoch, first, last, marks, records, lane, day, received_ms)
    SELECT terminal, epoch, seq, seq, x'', 1, lane, day, received_ms FROM record WHERE verdict IS NULL;
INSERT INTO record_posted (terminal, epoch, first, last, marks, posted_in, verdict, label, reason, day)
    SELECT terminal, epoch, seq, seq, x'', posted_in, verdict, label, reason, day FROM record WHERE posted_in > 0;
INSERT INTO record_apart (terminal, epoch, seq, verdict, reason, day)
    SELECT terminal, epoch, seq, verdict, reason, day FROM record WHERE verdict IS NOT NULL AND posted_in = 0;
CREATE INDEX record_waiting_turn ON record_waiting (received_ms, terminal, epoch, first);
CREATE INDEX record_posted_group ON record_posted (posted_in);
CREATE INDEX record_posted_day ON record_posted (day);
CREATE INDEX record_apart_day ON record_apart (day);

CREATE TABLE record_kept (
    terminal    TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    hash        BLOB NOT NULL, -- no bytes: a number whose batch could not be read
    body        BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (terminal, epoch, seq)
) STRICT;
INSERT INTO record_kept (terminal, epoch, seq, hash, body, received_ms) SELECT terminal, epoch, seq, hash, body, received_ms FROM record ORDER BY received_ms, terminal, epoch, seq;
DROP TABLE record;
ALTER TABLE record_kept RENAME TO record;

-- +goose Down
ALTER TABLE record ADD COLUMN day TEXT NOT NULL DEFAULT '';
ALTER TABLE record ADD COLUMN verdict TEXT;
ALTER TABLE record ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE record ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE record ADD COLUMN posted_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE record ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;
UPDATE record SET day = w.day, lane = w.lane FROM record_waiting w WHERE w.terminal = record.terminal AND w.epoch = record.epoch
    AND record.seq BETWEEN w.first AND w.last AND CASE WHEN w.marks = x'' THEN 1 ELSE ((instr('0123456789ABCDEF', substr(hex(w.marks), 2 * ((record.seq - w.first) / 8) + 2 - (record.seq - w.first) % 8 / 4, 1)) - 1) >> ((record.seq - w.first) % 4)) & 1 END = 1;
UPDATE record SET day = p.day, verdict = p.verdict, reason = p.reason, label = p.label, posted_in = p.posted_in FROM record_posted p WHERE p.terminal = record.terminal AND p.epoch = record.epoch
    AND record.seq BETWEEN p.first AND p.last AND CASE WHEN p.marks = x'' THEN 1 ELSE ((instr('0123456789ABCDEF', substr(hex(p.marks), 2 * ((record.seq - p.first) / 8) + 2 - (record.seq - p.first) % 8 / 4, 1)) - 1) >> ((record.seq - p.first) % 4)) & 1 END = 1;
UPDATE record SET day = a.day, verdict = a.verdict, reason = a.reason FROM record_apart a WHERE a.terminal = record.terminal AND a.epoch = record.epoch AND a.seq = record.seq;
DROP TABLE record_apart;
DROP TABLE record_posted;
DROP TABLE record_waiting;
CREATE INDEX record_pending ON record (received_ms) WHERE verdict IS NULL;
CREATE INDEX record_day ON record (day);
CREATE INDEX record_posted ON record (posted_in) WHERE posted_in > 0;
