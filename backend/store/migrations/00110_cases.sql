-- +goose Up
-- What officers decided of a claim that nothing proves (shadowaccount.Decision).
ALTER TABLE claim ADD COLUMN decision INTEGER NOT NULL DEFAULT 0;
-- The claims that nothing has decided, by age.
CREATE INDEX claim_undecided ON claim (received_ms) WHERE status IN (3, 4, 5);

-- A case is a claim that two officers decide. States and moves are package cases' table.
CREATE TABLE claim_case (
    id          TEXT PRIMARY KEY,
    card        BLOB NOT NULL,
    counter     INTEGER NOT NULL,
    terminal    TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    tap         INTEGER NOT NULL,
    kind        TEXT NOT NULL, -- rejected | suspect | aged | claimed
    state       TEXT NOT NULL,
    opened_ms   INTEGER NOT NULL,
    due_ms      INTEGER NOT NULL,
    proposal    TEXT NOT NULL, -- grant | deny, '' for none
    proposed_by TEXT NOT NULL
) STRICT;
-- One open case a claim: the rule stands here too, whatever the code above does.
CREATE UNIQUE INDEX claim_case_open ON claim_case (card, counter, terminal, epoch, tap) WHERE state IN ('open', 'proposed');
CREATE INDEX claim_case_claim ON claim_case (card, counter, terminal, epoch, tap);
CREATE INDEX claim_case_state ON claim_case (state, due_ms);

-- What was done to a case, and by whom. Rows are added, and never changed.
CREATE TABLE claim_case_event (
    case_id TEXT NOT NULL,
    number  INTEGER NOT NULL, -- from 1 on
    at_ms   INTEGER NOT NULL,
    event   TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    detail  TEXT NOT NULL,
    PRIMARY KEY (case_id, number)
) STRICT;

-- +goose Down
DROP TABLE claim_case_event;
DROP TABLE claim_case;
DROP INDEX claim_undecided;
ALTER TABLE claim DROP COLUMN decision;
