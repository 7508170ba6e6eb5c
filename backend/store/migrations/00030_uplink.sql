-- +goose Up
ALTER TABLE terminal ADD COLUMN online INTEGER NOT NULL DEFAULT 0;

-- Records that are missing here and that their terminal no longer holds: lost with a backup that was too old. The
-- watermark has passed them.
CREATE TABLE record_lost (
    terminal TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    noted_ms INTEGER NOT NULL,
    PRIMARY KEY (terminal, epoch, first)
) STRICT;

-- +goose Down
DROP TABLE record_lost;
ALTER TABLE terminal DROP COLUMN online;
