-- +goose Up
-- Why a payment went to the channel it went to. Rows of five weeks are kept.
CREATE TABLE channel_decision (
    order_id   TEXT NOT NULL,
    n          INTEGER NOT NULL,      -- 1, 2, 3 … within the order
    at_ms      INTEGER NOT NULL,
    plan       INTEGER NOT NULL,      -- version of the routing plan
    rule       TEXT NOT NULL,
    experiment TEXT NOT NULL,  -- '': none ran
    variant    INTEGER NOT NULL,      -- 1: it took the experiment's plan
    accounts   TEXT NOT NULL,  -- best first, divided by spaces
    reasons    TEXT NOT NULL,  -- of each account, JSON
    PRIMARY KEY (order_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX channel_decision_at ON channel_decision (at_ms);
CREATE INDEX channel_decision_experiment ON channel_decision (experiment, order_id) WHERE experiment <> '';

-- Experiments with a second routing plan.
CREATE TABLE channel_experiment (
    name       TEXT NOT NULL PRIMARY KEY,
    began_ms   INTEGER NOT NULL,
    ended_ms   INTEGER NOT NULL,      -- 0: it runs
    why        TEXT NOT NULL   -- it ended
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE channel_experiment;
DROP TABLE channel_decision;
