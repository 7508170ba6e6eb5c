-- +goose Up
-- A terminal has any number of PSAMs: one a door, or none if its cards need none.
CREATE TABLE terminal_psam (
    terminal TEXT COLLATE "C" NOT NULL REFERENCES terminal (id),
    psam     BYTEA NOT NULL, -- 6-byte terminal number
    PRIMARY KEY (terminal, psam)
);
INSERT INTO terminal_psam (terminal, psam) SELECT id, psam FROM terminal;
ALTER TABLE terminal DROP COLUMN psam;

-- +goose Down
ALTER TABLE terminal ADD COLUMN psam BYTEA NOT NULL DEFAULT '\x000000000000';
UPDATE terminal SET psam = COALESCE((SELECT psam FROM terminal_psam WHERE terminal_psam.terminal = terminal.id ORDER BY psam LIMIT 1), '\x000000000000');
DROP TABLE terminal_psam;
