-- +goose Up
-- Messages that leave if and only if the transaction that wrote them was committed. Those of one key leave in the order of number.
CREATE TABLE outbox (
    of_key   TEXT COLLATE "C" NOT NULL, -- what the message is about
    topic    TEXT COLLATE "C" NOT NULL,
    number   BIGINT NOT NULL, -- rises within key and topic
    id       TEXT COLLATE "C" NOT NULL,
    body     BYTEA NOT NULL,
    at_ms    BIGINT NOT NULL, -- when it happened
    due_ms   BIGINT NOT NULL, -- when it is to be tried next
    attempts BIGINT NOT NULL DEFAULT 0,
    error    TEXT COLLATE "C" NOT NULL DEFAULT '', -- of the last attempt
    lease_by TEXT COLLATE "C" NOT NULL DEFAULT '', -- the process that delivers it
    lease_ms BIGINT NOT NULL DEFAULT 0, -- until when nobody else does
    done_ms  BIGINT NOT NULL DEFAULT 0, -- 0: it waits
    PRIMARY KEY (of_key, topic, number)
);
CREATE UNIQUE INDEX outbox_id ON outbox (of_key, id);
CREATE INDEX outbox_due ON outbox (topic, due_ms) WHERE done_ms = 0;
CREATE INDEX outbox_waits ON outbox (of_key, topic, number) WHERE done_ms = 0;
CREATE INDEX outbox_done ON outbox (done_ms) WHERE done_ms > 0;

-- +goose Down
DROP TABLE outbox;
