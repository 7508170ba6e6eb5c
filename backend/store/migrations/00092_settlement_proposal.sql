-- +goose Up
-- What one person proposes to do about a closed day's money and another decides.
CREATE TABLE settlement_proposal (
    id          TEXT PRIMARY KEY, -- day-number
    day         TEXT NOT NULL REFERENCES settlement_day (day),
    number      INTEGER NOT NULL, -- of the day, from 1
    action      TEXT NOT NULL,    -- pay | resend
    kind        TEXT NOT NULL,    -- resend: the party, else ''
    party       TEXT NOT NULL,
    ref         TEXT NOT NULL,    -- pay: the bank's reference, else ''
    proposed_by TEXT NOT NULL,
    proposed_ms INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    state       TEXT NOT NULL,    -- open | approved | refused
    decided_by  TEXT NOT NULL,
    decided_ms  INTEGER NOT NULL,
    note        TEXT NOT NULL,
    UNIQUE (day, number)
) STRICT;

-- Who did what, in order. Rows are only ever added.
CREATE TABLE settlement_audit (
    proposal TEXT NOT NULL REFERENCES settlement_proposal (id),
    number   INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    who      TEXT NOT NULL,
    what     TEXT NOT NULL, -- proposed | approved | refused | denied: somebody tried and may not
    text     TEXT NOT NULL,
    PRIMARY KEY (proposal, number)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE settlement_audit;
DROP TABLE settlement_proposal;
