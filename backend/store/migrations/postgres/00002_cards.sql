-- +goose Up
CREATE TABLE card (
    number          BYTEA PRIMARY KEY, -- 10 bytes
    token           TEXT COLLATE "C" NOT NULL UNIQUE,
    issuer          BYTEA NOT NULL, -- 8 bytes
    levels          BIGINT NOT NULL,
    status          TEXT COLLATE "C" NOT NULL, -- active | blocked | unknown (never issued by us)
    opening_counter BIGINT NOT NULL,
    opening_balance BIGINT NOT NULL,
    shadow          BIGINT NOT NULL,
    blocked_ms      BIGINT NOT NULL DEFAULT 0, -- since when, 0: never
    -- What the audit of the card's chain says now.
    complete        BIGINT NOT NULL, -- every counter below it is accounted for
    next            BIGINT NOT NULL, -- one above the highest counter known
    tail            BIGINT NOT NULL, -- balance after that
    missing         BIGINT NOT NULL DEFAULT 0 -- records known to be missing
);

-- Batches as they came, for ever: the raw evidence.
CREATE TABLE batch (
    terminal    TEXT COLLATE "C" NOT NULL,
    epoch       BIGINT NOT NULL,
    digest      BYTEA NOT NULL,
    first_seq   BIGINT NOT NULL,
    last_seq    BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    envelope    BYTEA NOT NULL,
    PRIMARY KEY (terminal, epoch, digest)
);

CREATE TABLE record (
    terminal    TEXT COLLATE "C" NOT NULL,
    epoch       BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    hash        BYTEA NOT NULL,
    body        BYTEA NOT NULL,
    day         TEXT COLLATE "C" NOT NULL, -- clearing day, by arrival
    received_ms BIGINT NOT NULL,
    verdict     TEXT COLLATE "C", -- NULL: accepted, not posted yet
    reason      TEXT COLLATE "C" NOT NULL DEFAULT '',
    label       TEXT COLLATE "C" NOT NULL DEFAULT '', -- how it looked when it came
    posted_in   BIGINT NOT NULL DEFAULT 0, -- posting group
    PRIMARY KEY (terminal, epoch, seq)
);
CREATE INDEX record_pending ON record (received_ms) WHERE verdict IS NULL;
CREATE INDEX record_day ON record (day);
CREATE INDEX record_posted ON record (posted_in) WHERE posted_in > 0;

-- One sequence number, two contents: the second is kept here, and is an alarm.
CREATE TABLE record_conflict (
    terminal    TEXT COLLATE "C" NOT NULL,
    epoch       BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    hash        BYTEA NOT NULL,
    body        BYTEA NOT NULL,
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (terminal, epoch, seq, hash)
);

-- Through is the highest sequence number up to which nothing is missing.
CREATE TABLE terminal_epoch (
    terminal TEXT COLLATE "C" NOT NULL,
    epoch    BIGINT NOT NULL,
    through  BIGINT NOT NULL,
    PRIMARY KEY (terminal, epoch)
);

-- A claim is one tap's claim to one value of a card's offline counter.
CREATE TABLE claim (
    card        BYTEA NOT NULL,
    counter     BIGINT NOT NULL,
    terminal    TEXT COLLATE "C" NOT NULL,
    epoch       BIGINT NOT NULL,
    tap         BIGINT NOT NULL,
    seq         BIGINT NOT NULL, -- of the record that speaks for the tap
    at_ms       BIGINT NOT NULL,
    merchant    TEXT COLLATE "C" NOT NULL,
    amount      BIGINT NOT NULL,
    before      BIGINT NOT NULL,
    after       BIGINT NOT NULL,
    said        BIGINT NOT NULL,
    proof       BIGINT NOT NULL,
    flags       BIGINT NOT NULL,
    debit       BYTEA NOT NULL, -- what a good TAC was made over, else empty
    spent       BIGINT NOT NULL, -- an older claim has the same debit
    status      BIGINT NOT NULL,
    kind        BIGINT NOT NULL,
    rule        TEXT COLLATE "C" NOT NULL,
    day         TEXT COLLATE "C" NOT NULL, -- clearing day of the tap's first record to arrive
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (card, counter, terminal, epoch, tap)
);
CREATE INDEX claim_received ON claim (received_ms);
CREATE INDEX claim_day ON claim (day);
CREATE INDEX claim_debit ON claim (card, debit) WHERE debit <> '\x';

-- What the audit of a card's whole chain says now; written anew each time.
CREATE TABLE finding (
    card    BYTEA NOT NULL,
    code    TEXT COLLATE "C" NOT NULL,
    counter BIGINT NOT NULL,
    detail  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (card, code, counter)
);

CREATE TABLE gap (
    card  BYTEA NOT NULL,
    first BIGINT NOT NULL,
    last  BIGINT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (card, first)
);

-- Loads of a card that were authorised and not taken back: the shadow's side of a load order.
CREATE TABLE card_load (
    card    BYTEA NOT NULL,
    counter BIGINT NOT NULL, -- online counter before the load
    amount  BIGINT NOT NULL,
    loaded  BIGINT NOT NULL,
    ref     TEXT COLLATE "C" NOT NULL, -- the order
    explained BIGINT NOT NULL DEFAULT 0, -- the card's own balance shows that it happened
    PRIMARY KEY (card, counter)
);

-- Cards whose loads have changed since their unproved claims were decided.
CREATE TABLE review (
    card BYTEA PRIMARY KEY
);

-- Posting groups are chained: tampering with one breaks all that follow.
CREATE TABLE posting_group (
    number    BIGINT PRIMARY KEY,
    entry     TEXT COLLATE "C" NOT NULL, -- may name an entry without lines
    digest    TEXT COLLATE "C" NOT NULL, -- of the entry
    lines     BIGINT NOT NULL,
    records   BIGINT NOT NULL,
    evidence  TEXT COLLATE "C" NOT NULL, -- digest over the records
    prev_hash TEXT COLLATE "C" NOT NULL,
    hash      TEXT COLLATE "C" NOT NULL,
    at_ms     BIGINT NOT NULL
);

CREATE TABLE tally (
    name TEXT COLLATE "C" PRIMARY KEY,
    n    BIGINT NOT NULL
);

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
