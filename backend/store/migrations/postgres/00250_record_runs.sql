-- +goose Up
-- A record is not changed any more once it is kept: what is to become of it, and what became of it, stands beside it. A number is in one of these tables. Records of a terminal whose numbers
-- are close together and that have all in common share a row of the first two, a run, so that a batch of plain taps waits in a few rows and leaves a few.
DROP INDEX record_lane;
DROP INDEX record_day;
DROP INDEX record_posted;
CREATE TABLE record_waiting (
    terminal    TEXT COLLATE "C" NOT NULL,
    epoch       BIGINT NOT NULL,
    first       BIGINT NOT NULL,
    last        BIGINT NOT NULL, -- at most 1023 above first
    marks       BYTEA NOT NULL,  -- bit i, the lowest of a byte first: whether first + i is meant; no bytes: all up to last
    records     BIGINT NOT NULL, -- how many are meant
    lane        BIGINT NOT NULL, -- 0 to 15
    day         TEXT COLLATE "C" NOT NULL, -- clearing day, by arrival
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (terminal, epoch, first)
);
CREATE TABLE record_posted (
    terminal  TEXT COLLATE "C" NOT NULL,
    epoch     BIGINT NOT NULL,
    first     BIGINT NOT NULL,
    last      BIGINT NOT NULL,
    marks     BYTEA NOT NULL,
    posted_in BIGINT NOT NULL, -- posting group
    verdict   TEXT COLLATE "C" NOT NULL,
    label     TEXT COLLATE "C" NOT NULL, -- how they looked when they came
    reason    TEXT COLLATE "C" NOT NULL,
    day       TEXT COLLATE "C" NOT NULL, -- clearing day
    PRIMARY KEY (terminal, epoch, first)
);

-- Records that are decided and no group has: unreadable, of a card without a name, or a number whose batch could not be read.
CREATE TABLE record_apart (
    terminal TEXT COLLATE "C" NOT NULL,
    epoch    BIGINT NOT NULL,
    seq      BIGINT NOT NULL,
    verdict  TEXT COLLATE "C" NOT NULL,
    reason   TEXT COLLATE "C" NOT NULL,
    day      TEXT COLLATE "C" NOT NULL, -- clearing day
    PRIMARY KEY (terminal, epoch, seq)
);

INSERT INTO record_waiting (terminal, epoch, first, last, marks, records, lane, day, received_ms)
    SELECT terminal, epoch, seq, seq, '\x', 1, lane, day, received_ms FROM record WHERE verdict IS NULL;
INSERT INTO record_posted (terminal, epoch, first, last, marks, posted_in, verdict, label, reason, day)
    SELECT terminal, epoch, seq, seq, '\x', posted_in, verdict, label, reason, day FROM record WHERE posted_in > 0;
INSERT INTO record_apart (terminal, epoch, seq, verdict, reason, day)
    SELECT terminal, epoch, seq, verdict, reason, day FROM record WHERE verdict IS NOT NULL AND posted_in = 0;
CREATE INDEX record_waiting_turn ON record_waiting (lane, received_ms, terminal, epoch, first);
CREATE INDEX record_posted_group ON record_posted (posted_in);
CREATE INDEX record_posted_day ON record_posted (day);
CREATE INDEX record_apart_day ON record_apart (day);

ALTER TABLE record DROP COLUMN day;
ALTER TABLE record DROP COLUMN verdict;
ALTER TABLE record DROP COLUMN reason;
ALTER TABLE record DROP COLUMN label;
ALTER TABLE record DROP COLUMN posted_in;
ALTER TABLE record DROP COLUMN lane;

-- +goose Down
ALTER TABLE record ADD COLUMN day TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE record ADD COLUMN verdict TEXT COLLATE "C";
ALTER TABLE record ADD COLUMN reason TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE record ADD COLUMN label TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE record ADD COLUMN posted_in BIGINT NOT NULL DEFAULT 0;
ALTER TABLE record ADD COLUMN lane BIGINT NOT NULL DEFAULT 0;
UPDATE record SET day = w.day, lane = w.lane FROM record_waiting w WHERE w.terminal = record.terminal AND w.epoch = record.epoch
    AND record.seq BETWEEN w.first AND w.last AND CASE WHEN w.marks = '\x' THEN 1 ELSE get_bit(w.marks, record.seq - w.first) END = 1;
UPDATE record SET day = p.day, verdict = p.verdict, reason = p.reason, label = p.label, posted_in = p.posted_in FROM record_posted p WHERE p.terminal = record.terminal AND p.epoch = record.epoch
    AND record.seq BETWEEN p.first AND p.last AND CASE WHEN p.marks = '\x' THEN 1 ELSE get_bit(p.marks, record.seq - p.first) END = 1;
UPDATE record SET day = a.day, verdict = a.verdict, reason = a.reason FROM record_apart a WHERE a.terminal = record.terminal AND a.epoch = record.epoch AND a.seq = record.seq;
DROP TABLE record_apart;
DROP TABLE record_posted;
DROP TABLE record_waiting;
CREATE INDEX record_lane ON record (lane, received_ms) WHERE verdict IS NULL;
CREATE INDEX record_day ON record (day);
CREATE INDEX record_posted ON record (posted_in) WHERE posted_in > 0;
