-- +goose Up
-- Each version of the risk rules that was in use, as its file was.
CREATE TABLE risk_rules (
    version BIGINT PRIMARY KEY,
    body    BYTEA NOT NULL, -- JSON
    at_ms   BIGINT NOT NULL -- when it came into use
);

-- What risk decided of an attempt to pay, and by which facts: before the payer proved more, and after.
CREATE TABLE risk_decision (
    payment  TEXT COLLATE "C" NOT NULL,
    proved   BIGINT NOT NULL, -- 1: the payer has proved more
    order_id TEXT COLLATE "C" NOT NULL,
    at_ms    BIGINT NOT NULL,
    version  BIGINT NOT NULL, -- of the rules
    outcome  BIGINT NOT NULL, -- 1 pass, 2 step-up, 3 block
    rule     TEXT COLLATE "C" NOT NULL,
    failed   TEXT COLLATE "C" NOT NULL,    -- a rule that could not be evaluated
    facts    BYTEA NOT NULL,    -- JSON
    made_ms  BIGINT NOT NULL, -- when the attempt was made
    amount   BIGINT NOT NULL,
    payer    BYTEA NOT NULL,    -- keyed hashes, empty for not known
    device   BYTEA NOT NULL,
    card     BYTEA NOT NULL,
    merchant BYTEA NOT NULL,
    PRIMARY KEY (payment, proved)
);
CREATE INDEX risk_decision_order ON risk_decision (order_id);
CREATE INDEX risk_decision_at ON risk_decision (at_ms);

-- One-time codes that payers prove themselves with, by their keyed hash.
CREATE TABLE risk_code (
    payment TEXT COLLATE "C" PRIMARY KEY,
    code    BYTEA NOT NULL,
    sent_ms BIGINT NOT NULL, -- 0: it could not be sent
    sent    BIGINT NOT NULL, -- how many were
    tries   BIGINT NOT NULL  -- wrong ones since
);

-- +goose Down
DROP TABLE risk_code;
DROP TABLE risk_decision;
DROP TABLE risk_rules;
