-- +goose Up
-- Every request of an electronic cash card that was authorised. The answer is not kept; it is made again from these.
CREATE TABLE ec_session (
    order_id  TEXT NOT NULL REFERENCES load_order (id),
    n         INTEGER NOT NULL, -- 1, 2, 3 …
    booking   INTEGER NOT NULL,
    card      BLOB NOT NULL,
    sequence  INTEGER NOT NULL, -- the card's sequence number
    atc       INTEGER NOT NULL,
    chip_data BLOB NOT NULL, -- field 55 of the request; it has no card number
    balance   INTEGER NOT NULL, -- before, as the card's MAC proves it
    script    BLOB NOT NULL, -- 4 bytes: the script's number
    at_ms     INTEGER NOT NULL,
    PRIMARY KEY (order_id, n)
) STRICT;
CREATE INDEX ec_session_card ON ec_session (card, atc);

-- +goose Down
DROP TABLE ec_session;
