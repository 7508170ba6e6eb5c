-- +goose Up
-- Combined payments, as their coordinator keeps them.
CREATE TABLE tcc (
    xid        TEXT PRIMARY KEY,
    digest     TEXT NOT NULL,    -- of what was asked
    state      TEXT NOT NULL,    -- trying | confirming | cancelling | confirmed | cancelled
    why        TEXT NOT NULL,    -- it was cancelled, else ''
    until_ms   INTEGER NOT NULL, -- what is not tried by then is cancelled
    next_ms    INTEGER NOT NULL, -- when it is looked at again
    tries      INTEGER NOT NULL, -- in the present state
    made_ms    INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX tcc_due ON tcc (next_ms) WHERE state IN ('trying', 'confirming', 'cancelling');

CREATE TABLE tcc_leg (
    xid         TEXT NOT NULL,
    leg         INTEGER NOT NULL, -- from 1 on
    participant TEXT NOT NULL,
    account     TEXT NOT NULL,    -- whose value it is, as the participant names it
    currency    TEXT NOT NULL,
    amount      INTEGER NOT NULL, -- of that currency
    worth       INTEGER NOT NULL, -- in the money of the payment
    payee       TEXT NOT NULL,
    context     TEXT NOT NULL,
    direct      INTEGER NOT NULL, -- 1: done at once and compensated, 0: reserved
    done        INTEGER NOT NULL, -- 1: the present state's step was done
    PRIMARY KEY (xid, leg)
) STRICT;

-- What a participant has done of a branch, so that no message is obeyed twice, or too late.
CREATE TABLE tcc_branch (
    xid      TEXT NOT NULL,
    branch   INTEGER NOT NULL,
    digest   TEXT NOT NULL, -- of the leg; '' where only a cancel was heard
    state    TEXT NOT NULL, -- trying | tried | refused | confirmed | cancelling | undoing | cancelled
    began_ms INTEGER NOT NULL,
    PRIMARY KEY (xid, branch)
) STRICT;
CREATE INDEX tcc_branch_undoing ON tcc_branch (xid) WHERE state = 'undoing';

-- Refunds, split over the legs.
CREATE TABLE tcc_refund (
    number TEXT NOT NULL,
    leg    INTEGER NOT NULL,
    xid    TEXT NOT NULL,
    rule   TEXT NOT NULL,
    worth  INTEGER NOT NULL,
    amount INTEGER NOT NULL, -- of the leg's currency
    state  TEXT NOT NULL,    -- ordered | done | failed
    at_ms  INTEGER NOT NULL,
    PRIMARY KEY (number, leg)
) STRICT;
CREATE INDEX tcc_refund_of ON tcc_refund (xid);
CREATE INDEX tcc_refund_open ON tcc_refund (at_ms) WHERE state = 'ordered';

-- Points and other value that is no money: in no books, and nothing of it reaches a bank.
CREATE TABLE points_account (
    holder   TEXT NOT NULL,
    currency TEXT NOT NULL,
    balance  INTEGER NOT NULL,
    held     INTEGER NOT NULL,
    PRIMARY KEY (holder, currency)
) STRICT;
CREATE TABLE points_entry (
    id       TEXT NOT NULL,
    holder   TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount   INTEGER NOT NULL, -- positive: more
    ref      TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    PRIMARY KEY (id, holder)
) STRICT;
CREATE INDEX points_entry_holder ON points_entry (holder, currency);

-- +goose Down
DROP TABLE points_entry;
DROP TABLE points_account;
DROP TABLE tcc_refund;
DROP TABLE tcc_branch;
DROP TABLE tcc_leg;
DROP TABLE tcc;
