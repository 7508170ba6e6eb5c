-- +goose Up
-- What became of an acquirer's file on its way to the acquirer.
CREATE TABLE settlement_delivery (
    acquirer TEXT COLLATE "C" NOT NULL,
    day      TEXT COLLATE "C" NOT NULL REFERENCES settlement_day (day),
    name     TEXT COLLATE "C" NOT NULL,
    way      TEXT COLLATE "C" NOT NULL, -- sftp: we brought it; https: the acquirer fetched it
    digest   TEXT COLLATE "C" NOT NULL, -- SHA-256 of the file, hexadecimal
    state    TEXT COLLATE "C" NOT NULL, -- delivered | failed
    attempts BIGINT NOT NULL,
    error    TEXT COLLATE "C" NOT NULL, -- of the last try
    tried_ms BIGINT NOT NULL,
    done_ms  BIGINT NOT NULL, -- first delivery; 0: none
    PRIMARY KEY (acquirer, day, name, way)
);

-- +goose Down
DROP TABLE settlement_delivery;
