-- +goose Up
ALTER TABLE terminal ADD COLUMN online BIGINT NOT NULL DEFAULT 0;

-- Records that are missing here and that their terminal no longer holds: lost with a backup that was too old. The
-- watermark has passed them.
CREATE TABLE record_lost (
    terminal TEXT COLLATE "C" NOT NULL,
    epoch    BIGINT NOT NULL,
    first    BIGINT NOT NULL,
    last     BIGINT NOT NULL,
    noted_ms BIGINT NOT NULL,
    PRIMARY KEY (terminal, epoch, first)
);

-- +goose Down
DROP TABLE record_lost;
ALTER TABLE terminal DROP COLUMN online;
