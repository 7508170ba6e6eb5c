-- +goose Up
-- What one person proposes to do about a closed day's money and another decides.
CREATE TABLE settlement_proposal (
    id          TEXT COLLATE "C" PRIMARY KEY, -- day-number
    day         TEXT COLLATE "C" NOT NULL REFERENCES settlement_day (day),
    number      BIGINT NOT NULL, -- of the day, from 1
    action      TEXT COLLATE "C" NOT NULL,    -- pay | resend
    kind        TEXT COLLATE "C" NOT NULL,    -- resend: the party, else ''
    party       TEXT COLLATE "C" NOT NULL,
    ref         TEXT COLLATE "C" NOT NULL,    -- pay: the bank's reference, else ''
    proposed_by TEXT COLLATE "C" NOT NULL,
    proposed_ms BIGINT NOT NULL,
    reason      TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,    -- open | approved | refused
    decided_by  TEXT COLLATE "C" NOT NULL,
    decided_ms  BIGINT NOT NULL,
    note        TEXT COLLATE "C" NOT NULL,
    UNIQUE (day, number)
);

-- Who did what, in order. Rows are only ever added.
CREATE TABLE settlement_audit (
    proposal TEXT COLLATE "C" NOT NULL REFERENCES settlement_proposal (id),
    number   BIGINT NOT NULL,
    at_ms    BIGINT NOT NULL,
    who      TEXT COLLATE "C" NOT NULL,
    what     TEXT COLLATE "C" NOT NULL, -- proposed | approved | refused | denied: somebody tried and may not
    text     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (proposal, number)
);

-- +goose Down
DROP TABLE settlement_audit;
DROP TABLE settlement_proposal;
