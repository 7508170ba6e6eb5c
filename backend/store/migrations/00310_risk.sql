-- +goose Up
-- Each version of the risk rules that was in use, as its file was.
CREATE TABLE risk_rules (
    version INTEGER PRIMARY KEY,
    body    BLOB NOT NULL, -- JSON
    at_ms   INTEGER NOT NULL -- when it came into use
) STRICT;

-- What risk decided of an attempt to pay, and by which facts: before the payer proved more, and after.
CREATE TABLE risk_decision (
    payment  TEXT NOT NULL,
    proved   INTEGER NOT NULL, -- 1: the payer has proved more
    order_id TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    version  INTEGER NOT NULL, -- of the rules
    outcome  INTEGER NOT NULL, -- 1 pass, 2 step-up, 3 block
    rule     TEXT NOT NULL,
    failed   TEXT NOT NULL,    -- a rule that could not be evaluated
    facts    BLOB NOT NULL,    -- JSON
    made_ms  INTEGER NOT NULL, -- when the attempt was made
    amount   INTEGER NOT NULL,
    payer    BLOB NOT NULL,    -- keyed hashes, empty for not known
    device   BLOB NOT NULL,
    card     BLOB NOT NULL,
    merchant BLOB NOT NULL,
    PRIMARY KEY (payment, proved)
) STRICT, WITHOUT ROWID;
CREATE INDEX risk_decision_order ON risk_decision (order_id);
CREATE INDEX risk_decision_at ON risk_decision (at_ms);

-- One-time codes that payers prove themselves with, by their keyed hash.
CREATE TABLE risk_code (
    payment TEXT PRIMARY KEY,
    code    BLOB NOT NULL,
    sent_ms INTEGER NOT NULL, -- 0: it could not be sent
    sent    INTEGER NOT NULL, -- how many were
    tries   INTEGER NOT NULL  -- wrong ones since
) STRICT;

-- +goose Down
DROP TABLE risk_code;
DROP TABLE risk_decision;
DROP TABLE risk_rules;
