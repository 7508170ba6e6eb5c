-- +goose Up
-- Merchants' systems that call the gateway. States and moves are package app's table.
CREATE TABLE app (
    id           TEXT COLLATE "C" PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL,
    registration TEXT COLLATE "C" NOT NULL, -- the merchant's, at whatever office files it
    contact      TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    terms        BYTEA NOT NULL, -- JSON; earlier ones are in the trail
    created_ms   BIGINT NOT NULL,
    created_by   TEXT COLLATE "C" NOT NULL
);

-- What one person has asked for and another has not agreed to yet.
CREATE TABLE app_ask (
    app    TEXT COLLATE "C" PRIMARY KEY,
    event  TEXT COLLATE "C" NOT NULL,
    body   BYTEA NOT NULL,
    by     TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    at_ms  BIGINT NOT NULL
);

-- What an app's requests are verified with: every key that is not over, and those that are.
CREATE TABLE app_key (
    app      TEXT COLLATE "C" NOT NULL,
    id       TEXT COLLATE "C" NOT NULL,
    kind     TEXT COLLATE "C" NOT NULL,
    key      BYTEA NOT NULL, -- sealed
    since_ms BIGINT NOT NULL,
    until_ms BIGINT NOT NULL, -- 0: no end
    PRIMARY KEY (app, id)
);

-- Nonces of requests that were signed well, until no request of that time is taken any more.
CREATE TABLE app_nonce (
    app      TEXT COLLATE "C" NOT NULL,
    nonce    TEXT COLLATE "C" NOT NULL,
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (app, nonce)
);
CREATE INDEX app_nonce_until ON app_nonce (until_ms);

-- What was done to an app. Only ever added to.
CREATE TABLE app_trail (
    app    TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL, -- from 1 on
    at_ms  BIGINT NOT NULL,
    by     TEXT COLLATE "C" NOT NULL,
    what   TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (app, number)
);

-- +goose Down
DROP TABLE app_trail;
DROP TABLE app_nonce;
DROP TABLE app_key;
DROP TABLE app_ask;
DROP TABLE app;
