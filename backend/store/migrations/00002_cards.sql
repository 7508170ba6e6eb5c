-- +goose Up
CREATE TABLE card (
    number          BLOB PRIMARY KEY, -- 10 bytes
    token           TEXT NOT NULL UNIQUE,
    issuer          BLOB NOT NULL, -- 8 bytes
    levels          INTEGER NOT NULL,
    status          TEXT NOT NULL, -- active | blocked | unknown (never issued by us)
    opening_counter INTEGER NOT NULL,
    opening_balance INTEGER NOT NULL,
    shadow          INTEGER NOT NULL,
    blocked_ms      INTEGER NOT NULL DEFAULT 0, -- since when, 0: never
    -- What the audit of the card's chain says now.
    complete        INTEGER NOT NULL, -- every counter below it is accounted for
    next            INTEGER NOT NULL, -- one above the highest counter known
    tail            INTEGER NOT NULL, -- balance after that
    missing         INTEGER NOT NULL DEFAULT 0 -- records known to be missing
) STRICT;

-- Batches as they came, for ever: the raw evidence.
CREATE TABLE batch (
    terminal    TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    digest      BLOB NOT NULL,
    first_seq   INTEGER NOT NULL,
    last_seq    INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    envelope    BLOB NOT NULL,
    PRIMARY KEY (terminal, epoch, digest)
) STRICT;

CREATE TABLE record (
    terminal    TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    hash        BLOB NOT NULL,
    body        BLOB NOT NULL,
    day         TEXT NOT NULL, -- clearing day, by arrival
    received_ms INTEGER NOT NULL,
    verdict     TEXT, -- NULL: accepted, not posted yet
    reason      TEXT NOT NULL DEFAULT '',
    label       TEXT NOT NULL DEFAULT '', -- how it looked when it came
    posted_in   INTEGER NOT NULL DEFAULT 0, -- posting group
    PRIMARY KEY (terminal, epoch, seq)
) STRICT;
CREATE INDEX record_pending ON record (received_ms) WHERE verdict IS NULL;
CREATE INDEX record_day ON record (day);
CREATE INDEX record_posted ON record (posted_in) WHERE posted_in > 0;

-- One sequence number, two contents: the second is kept here, and is an alarm.
CREATE TABLE record_conflict (
    terminal    TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    hash        BLOB NOT NULL,
    body        BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (terminal, epoch, seq, hash)
) STRICT;

-- Through is the highest sequence number up to which nothing is missing.
CREATE TABLE terminal_epoch (
    terminal TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    through  INTEGER NOT NULL,
    PRIMARY KEY (terminal, epoch)
) STRICT;

-- A claim is one tap's claim to one value of a card's offline counter.
CREATE TABLE claim (
    card        BLOB NOT NULL,
    counter     INTEGER NOT NULL,
    terminal    TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    tap         INTEGER NOT NULL,
    seq         INTEGER NOT NULL, -- of the record that speaks for the tap
    at_ms       INTEGER NOT NULL,
    merchant    TEXT NOT NULL,
    amount      INTEGER NOT NULL,
    before      INTEGER NOT NULL,
    after       INTEGER NOT NULL,
    said        INTEGER NOT NULL,
    proof       INTEGER NOT NULL,
    flags       INTEGER NOT NULL,
    debit       BLOB NOT NULL, -- what a good TAC was made over, else empty
    spent       INTEGER NOT NULL, -- an older claim has the same debit
    status      INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    rule        TEXT NOT NULL,
    day         TEXT NOT NULL, -- clearing day of the tap's first record to arrive
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (card, counter, terminal, epoch, tap)
) STRICT, WITHOUT ROWID;
CREATE INDEX claim_received ON claim (received_ms);
CREATE INDEX claim_day ON claim (day);
CREATE INDEX claim_debit ON claim (card, debit) WHERE debit <> x'';

-- What the audit of a card's whole chain says now; written anew each time.
CREATE TABLE finding (
    card    BLOB NOT NULL,
    code    TEXT NOT NULL,
    counter INTEGER NOT NULL,
    detail  TEXT NOT NULL,
    PRIMARY KEY (card, code, counter)
) STRICT, WITHOUT ROWID;

CREATE TABLE gap (
    card  BLOB NOT NULL,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (card, first)
) STRICT, WITHOUT ROWID;

-- Loads of a card that were authorised and not taken back: the shadow's side of a load order.
CREATE TABLE card_load (
    card    BLOB NOT NULL,
    counter INTEGER NOT NULL, -- online counter before the load
    amount  INTEGER NOT NULL,
    loaded  INTEGER NOT NULL,
    ref     TEXT NOT NULL, -- the order
    explained INTEGER NOT NULL DEFAULT 0, -- the card's own balance shows that it happened
    PRIMARY KEY (card, counter)
) STRICT, WITHOUT ROWID;

-- Cards whose loads have changed since their unproved claims were decided.
CREATE TABLE review (
    card BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Posting groups are chained: tampering with one breaks all that follow.
CREATE TABLE posting_group (
    number    INTEGER PRIMARY KEY,
    entry     TEXT NOT NULL, -- may name an entry without lines
    digest    TEXT NOT NULL, -- of the entry
    lines     INTEGER NOT NULL,
    records   INTEGER NOT NULL,
    evidence  TEXT NOT NULL, -- digest over the records
    prev_hash TEXT NOT NULL,
    hash      TEXT NOT NULL,
    at_ms     INTEGER NOT NULL
) STRICT;

CREATE TABLE tally (
    name TEXT PRIMARY KEY,
    n    INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE tally;
DROP TABLE posting_group;
DROP TABLE review;
DROP TABLE card_load;
DROP TABLE gap;
DROP TABLE finding;
DROP TABLE claim;
DROP TABLE terminal_epoch;
DROP TABLE record_conflict;
DROP TABLE record;
DROP TABLE batch;
DROP TABLE card;
