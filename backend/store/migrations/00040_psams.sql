-- +goose Up
-- A terminal has any number of PSAMs: one a door, or none if its cards need none.
CREATE TABLE terminal_psam (
    terminal TEXT NOT NULL REFERENCES terminal (id),
    psam     BLOB NOT NULL, -- 6-byte terminal number
    PRIMARY KEY (terminal, psam)
) STRICT, WITHOUT ROWID;
INSERT INTO terminal_psam (terminal, psam) SELECT id, psam FROM terminal;
ALTER TABLE terminal DROP COLUMN psam;

-- +goose Down
ALTER TABLE terminal ADD COLUMN psam BLOB NOT NULL DEFAULT x'000000000000';
UPDATE terminal SET psam = COALESCE((SELECT MIN(psam) FROM terminal_psam WHERE terminal_psam.terminal = terminal.id), x'000000000000');
DROP TABLE terminal_psam;
