-- +goose Up
-- What terminals call a card whose number they may not keep. A card has one for each sequence number it ever had.
CREATE TABLE card_alias (
    alias BLOB PRIMARY KEY, -- 10 bytes
    card  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Records that name their card by an alias that nobody knows yet; they are posted once it is known.
CREATE TABLE record_unnamed (
    alias    BLOB NOT NULL,
    terminal TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    PRIMARY KEY (alias, terminal, epoch, seq)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE record_unnamed;
DROP TABLE card_alias;
