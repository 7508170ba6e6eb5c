-- +goose Up
-- What terminals call a card whose number they may not keep. A card has one for each sequence number it ever had.
CREATE TABLE card_alias (
    alias BYTEA PRIMARY KEY, -- 10 bytes
    card  BYTEA NOT NULL
);

-- Records that name their card by an alias that nobody knows yet; they are posted once it is known.
CREATE TABLE record_unnamed (
    alias    BYTEA NOT NULL,
    terminal TEXT COLLATE "C" NOT NULL,
    epoch    BIGINT NOT NULL,
    seq      BIGINT NOT NULL,
    PRIMARY KEY (alias, terminal, epoch, seq)
);

-- +goose Down
DROP TABLE record_unnamed;
DROP TABLE card_alias;
