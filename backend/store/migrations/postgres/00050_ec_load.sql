-- +goose Up
-- Every request of an electronic cash card that was authorised. The answer is not kept; it is made again from these.
CREATE TABLE ec_session (
    order_id  TEXT COLLATE "C" NOT NULL REFERENCES load_order (id),
    n         BIGINT NOT NULL, -- 1, 2, 3 …
    booking   BIGINT NOT NULL,
    card      BYTEA NOT NULL,
    sequence  BIGINT NOT NULL, -- the card's sequence number
    atc       BIGINT NOT NULL,
    chip_data BYTEA NOT NULL, -- field 55 of the request; it has no card number
    balance   BIGINT NOT NULL, -- before, as the card's MAC proves it
    script    BYTEA NOT NULL, -- 4 bytes: the script's number
    at_ms     BIGINT NOT NULL,
    PRIMARY KEY (order_id, n)
);
CREATE INDEX ec_session_card ON ec_session (card, atc);

-- +goose Down
DROP TABLE ec_session;
