-- +goose Up
-- What became of calls of channels, counted for five seconds each: what people look at. Rows of a week are kept.
CREATE TABLE channel_sample (
    at_ms    INTEGER NOT NULL, -- begin of the five seconds
    channel  TEXT NOT NULL,
    bank     TEXT NOT NULL,
    card     TEXT NOT NULL,
    payments INTEGER NOT NULL, -- that said something of the channel
    failed   INTEGER NOT NULL, -- by its fault or the bank's
    took_ms  INTEGER NOT NULL, -- how long they took, all together
    PRIMARY KEY (at_ms, channel, bank, card)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE channel_sample;
