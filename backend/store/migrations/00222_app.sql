-- +goose Up
-- Merchants' systems that call the gateway. States and moves are package app's table.
CREATE TABLE app (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    registration TEXT NOT NULL, -- the merchant's, at whatever office files it
    contact      TEXT NOT NULL,
    state        TEXT NOT NULL,
    terms        BLOB NOT NULL, -- JSON; earlier ones are in the trail
    created_ms   INTEGER NOT NULL,
    created_by   TEXT NOT NULL
) STRICT;

-- What one person has asked for and another has not agreed to yet.
CREATE TABLE app_ask (
    app    TEXT PRIMARY KEY,
    event  TEXT NOT NULL,
    body   BLOB NOT NULL,
    by     TEXT NOT NULL,
    reason TEXT NOT NULL,
    at_ms  INTEGER NOT NULL
) STRICT;

-- What an app's requests are verified with: every key that is not over, and those that are.
CREATE TABLE app_key (
    app      TEXT NOT NULL,
    id       TEXT NOT NULL,
    kind     TEXT NOT NULL,
    key      BLOB NOT NULL, -- sealed
    since_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL, -- 0: no end
    PRIMARY KEY (app, id)
) STRICT;

-- Nonces of requests that were signed well, until no request of that time is taken any more.
CREATE TABLE app_nonce (
    app      TEXT NOT NULL,
    nonce    TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (app, nonce)
) STRICT;
CREATE INDEX app_nonce_until ON app_nonce (until_ms);

-- What was done to an app. Only ever added to.
CREATE TABLE app_trail (
    app    TEXT NOT NULL,
    number INTEGER NOT NULL, -- from 1 on
    at_ms  INTEGER NOT NULL,
    by     TEXT NOT NULL,
    what   TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (app, number)
) STRICT;

-- +goose Down
DROP TABLE app_trail;
DROP TABLE app_nonce;
DROP TABLE app_key;
DROP TABLE app_ask;
DROP TABLE app;
