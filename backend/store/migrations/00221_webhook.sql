-- +goose Up
-- Where a caller wants to be told of events. States and moves of deliveries are package webhook's table.
CREATE TABLE webhook_endpoint (
    id         TEXT PRIMARY KEY,
    app        TEXT NOT NULL,
    url        TEXT NOT NULL,
    events     TEXT NOT NULL, -- patterns of event types, separated by blanks
    active     INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL
) STRICT;
CREATE INDEX webhook_endpoint_app ON webhook_endpoint (app, id);

-- What messages to an endpoint are signed with: every secret that is not over.
CREATE TABLE webhook_secret (
    endpoint   TEXT NOT NULL,
    number     INTEGER NOT NULL, -- from 1 on
    secret     BLOB NOT NULL,    -- sealed
    until_ms   INTEGER NOT NULL, -- 0: no end
    PRIMARY KEY (endpoint, number)
) STRICT;

-- A message to an endpoint.
CREATE TABLE webhook_delivery (
    endpoint TEXT NOT NULL,
    id       TEXT NOT NULL, -- the event's: the same at every attempt
    app      TEXT NOT NULL,
    event    TEXT NOT NULL, -- its type
    body     BLOB NOT NULL,
    at_ms    INTEGER NOT NULL, -- when it happened
    state    TEXT NOT NULL,
    attempts INTEGER NOT NULL, -- since it was last asked for
    due_ms   INTEGER NOT NULL,
    lease_by TEXT NOT NULL,
    lease_ms INTEGER NOT NULL,
    status   INTEGER NOT NULL, -- HTTP status of the last attempt, 0: no answer
    error    TEXT NOT NULL,    -- of the last attempt
    done_ms  INTEGER NOT NULL,
    PRIMARY KEY (endpoint, id)
) STRICT;
CREATE INDEX webhook_delivery_due ON webhook_delivery (endpoint, due_ms) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_state ON webhook_delivery (app, state, at_ms);
CREATE INDEX webhook_delivery_done ON webhook_delivery (done_ms) WHERE state = 'delivered';

-- +goose Down
DROP TABLE webhook_delivery;
DROP TABLE webhook_secret;
DROP TABLE webhook_endpoint;
