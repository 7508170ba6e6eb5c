-- +goose Up
-- Why a payment went to the channel it went to. Rows of five weeks are kept.
CREATE TABLE channel_decision (
    order_id   TEXT COLLATE "C" NOT NULL,
    n          BIGINT NOT NULL,      -- 1, 2, 3 … within the order
    at_ms      BIGINT NOT NULL,
    plan       BIGINT NOT NULL,      -- version of the routing plan
    rule       TEXT COLLATE "C" NOT NULL,
    experiment TEXT COLLATE "C" NOT NULL,  -- '': none ran
    variant    BIGINT NOT NULL,      -- 1: it took the experiment's plan
    accounts   TEXT COLLATE "C" NOT NULL,  -- best first, divided by spaces
    reasons    TEXT COLLATE "C" NOT NULL,  -- of each account, JSON
    PRIMARY KEY (order_id, n)
);
CREATE INDEX channel_decision_at ON channel_decision (at_ms);
CREATE INDEX channel_decision_experiment ON channel_decision (experiment, order_id) WHERE experiment <> '';

-- Experiments with a second routing plan.
CREATE TABLE channel_experiment (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    began_ms   BIGINT NOT NULL,
    ended_ms   BIGINT NOT NULL,      -- 0: it runs
    why        TEXT COLLATE "C" NOT NULL   -- it ended
);

-- +goose Down
DROP TABLE channel_experiment;
DROP TABLE channel_decision;
