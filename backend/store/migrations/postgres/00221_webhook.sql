-- +goose Up
-- Where a caller wants to be told of events. States and moves of deliveries are package webhook's table.
CREATE TABLE webhook_endpoint (
    id         TEXT COLLATE "C" PRIMARY KEY,
    app        TEXT COLLATE "C" NOT NULL,
    url        TEXT COLLATE "C" NOT NULL,
    events     TEXT COLLATE "C" NOT NULL, -- patterns of event types, separated by blanks
    active     BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL
);
CREATE INDEX webhook_endpoint_app ON webhook_endpoint (app, id);

-- What messages to an endpoint are signed with: every secret that is not over.
CREATE TABLE webhook_secret (
    endpoint   TEXT COLLATE "C" NOT NULL,
    number     BIGINT NOT NULL, -- from 1 on
    secret     BYTEA NOT NULL,    -- sealed
    until_ms   BIGINT NOT NULL, -- 0: no end
    PRIMARY KEY (endpoint, number)
);

-- A message to an endpoint.
CREATE TABLE webhook_delivery (
    endpoint TEXT COLLATE "C" NOT NULL,
    id       TEXT COLLATE "C" NOT NULL, -- the event's: the same at every attempt
    app      TEXT COLLATE "C" NOT NULL,
    event    TEXT COLLATE "C" NOT NULL, -- its type
    body     BYTEA NOT NULL,
    at_ms    BIGINT NOT NULL, -- when it happened
    state    TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL, -- since it was last asked for
    due_ms   BIGINT NOT NULL,
    lease_by TEXT COLLATE "C" NOT NULL,
    lease_ms BIGINT NOT NULL,
    status   BIGINT NOT NULL, -- HTTP status of the last attempt, 0: no answer
    error    TEXT COLLATE "C" NOT NULL,    -- of the last attempt
    done_ms  BIGINT NOT NULL,
    PRIMARY KEY (endpoint, id)
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (endpoint, due_ms) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_state ON webhook_delivery (app, state, at_ms);
CREATE INDEX webhook_delivery_done ON webhook_delivery (done_ms) WHERE state = 'delivered';

-- +goose Down
DROP TABLE webhook_delivery;
DROP TABLE webhook_secret;
DROP TABLE webhook_endpoint;
