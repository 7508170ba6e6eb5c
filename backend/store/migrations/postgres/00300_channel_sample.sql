-- +goose Up
-- What became of calls of channels, counted for five seconds each: what people look at. Rows of a week are kept.
CREATE TABLE channel_sample (
    at_ms    BIGINT NOT NULL, -- begin of the five seconds
    channel  TEXT COLLATE "C" NOT NULL,
    bank     TEXT COLLATE "C" NOT NULL,
    card     TEXT COLLATE "C" NOT NULL,
    payments BIGINT NOT NULL, -- that said something of the channel
    failed   BIGINT NOT NULL, -- by its fault or the bank's
    took_ms  BIGINT NOT NULL, -- how long they took, all together
    PRIMARY KEY (at_ms, channel, bank, card)
);

-- +goose Down
DROP TABLE channel_sample;
