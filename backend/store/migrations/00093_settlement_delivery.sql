-- +goose Up
-- What became of an acquirer's file on its way to the acquirer.
CREATE TABLE settlement_delivery (
    acquirer TEXT NOT NULL,
    day      TEXT NOT NULL REFERENCES settlement_day (day),
    name     TEXT NOT NULL,
    way      TEXT NOT NULL, -- sftp: we brought it; https: the acquirer fetched it
    digest   TEXT NOT NULL, -- SHA-256 of the file, hexadecimal
    state    TEXT NOT NULL, -- delivered | failed
    attempts INTEGER NOT NULL,
    error    TEXT NOT NULL, -- of the last try
    tried_ms INTEGER NOT NULL,
    done_ms  INTEGER NOT NULL, -- first delivery; 0: none
    PRIMARY KEY (acquirer, day, name, way)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE settlement_delivery;
