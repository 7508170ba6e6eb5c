-- +goose Up
-- What an adapter of a payment channel must not forget, such as a reversal that is still owed. The value is the adapter's own.
CREATE TABLE channel_journal (
    channel TEXT NOT NULL, -- account at the channel
    key     TEXT NOT NULL,
    value   BLOB NOT NULL,
    PRIMARY KEY (channel, key)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE channel_journal;
