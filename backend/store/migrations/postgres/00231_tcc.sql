-- +goose Up
-- Combined payments, as their coordinator keeps them.
CREATE TABLE tcc (
    xid        TEXT COLLATE "C" PRIMARY KEY,
    digest     TEXT COLLATE "C" NOT NULL,    -- of what was asked
    state      TEXT COLLATE "C" NOT NULL,    -- trying | confirming | cancelling | confirmed | cancelled
    why        TEXT COLLATE "C" NOT NULL,    -- it was cancelled, else ''
    until_ms   BIGINT NOT NULL, -- what is not tried by then is cancelled
    next_ms    BIGINT NOT NULL, -- when it is looked at again
    tries      BIGINT NOT NULL, -- in the present state
    made_ms    BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL
);
CREATE INDEX tcc_due ON tcc (next_ms) WHERE state IN ('trying', 'confirming', 'cancelling');

CREATE TABLE tcc_leg (
    xid         TEXT COLLATE "C" NOT NULL,
    leg         BIGINT NOT NULL, -- from 1 on
    participant TEXT COLLATE "C" NOT NULL,
    account     TEXT COLLATE "C" NOT NULL,    -- whose value it is, as the participant names it
    currency    TEXT COLLATE "C" NOT NULL,
    amount      BIGINT NOT NULL, -- of that currency
    worth       BIGINT NOT NULL, -- in the money of the payment
    payee       TEXT COLLATE "C" NOT NULL,
    context     TEXT COLLATE "C" NOT NULL,
    direct      BIGINT NOT NULL, -- 1: done at once and compensated, 0: reserved
    done        BIGINT NOT NULL, -- 1: the present state's step was done
    PRIMARY KEY (xid, leg)
);

-- What a participant has done of a branch, so that no message is obeyed twice, or too late.
CREATE TABLE tcc_branch (
    xid      TEXT COLLATE "C" NOT NULL,
    branch   BIGINT NOT NULL,
    digest   TEXT COLLATE "C" NOT NULL, -- of the leg; '' where only a cancel was heard
    state    TEXT COLLATE "C" NOT NULL, -- trying | tried | refused | confirmed | cancelling | undoing | cancelled
    began_ms BIGINT NOT NULL,
    PRIMARY KEY (xid, branch)
);
CREATE INDEX tcc_branch_undoing ON tcc_branch (xid) WHERE state = 'undoing';

-- Refunds, split over the legs.
CREATE TABLE tcc_refund (
    number TEXT COLLATE "C" NOT NULL,
    leg    BIGINT NOT NULL,
    xid    TEXT COLLATE "C" NOT NULL,
    rule   TEXT COLLATE "C" NOT NULL,
    worth  BIGINT NOT NULL,
    amount BIGINT NOT NULL, -- of the leg's currency
    state  TEXT COLLATE "C" NOT NULL,    -- ordered | done | failed
    at_ms  BIGINT NOT NULL,
    PRIMARY KEY (number, leg)
);
CREATE INDEX tcc_refund_of ON tcc_refund (xid);
CREATE INDEX tcc_refund_open ON tcc_refund (at_ms) WHERE state = 'ordered';

-- Points and other value that is no money: in no books, and nothing of it reaches a bank.
CREATE TABLE points_account (
    holder   TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    balance  BIGINT NOT NULL,
    held     BIGINT NOT NULL,
    PRIMARY KEY (holder, currency)
);
CREATE TABLE points_entry (
    id       TEXT COLLATE "C" NOT NULL,
    holder   TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    amount   BIGINT NOT NULL, -- positive: more
    ref      TEXT COLLATE "C" NOT NULL,
    at_ms    BIGINT NOT NULL,
    PRIMARY KEY (id, holder)
);
CREATE INDEX points_entry_holder ON points_entry (holder, currency);

-- +goose Down
DROP TABLE points_entry;
DROP TABLE points_account;
DROP TABLE tcc_refund;
DROP TABLE tcc_branch;
DROP TABLE tcc_leg;
DROP TABLE tcc;
