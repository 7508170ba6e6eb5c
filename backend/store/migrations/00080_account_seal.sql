-- +goose Up
-- What an account may do, and a seal over its row: whoever changes a row by SQL has no key to seal it again.
ALTER TABLE account ADD COLUMN number TEXT NOT NULL DEFAULT ''; -- type, digits, check digit; '' until the books are sealed
ALTER TABLE account ADD COLUMN switches INTEGER NOT NULL DEFAULT -1; -- bits of books.Switches; -1: nobody has switched it
ALTER TABLE account ADD COLUMN version INTEGER NOT NULL DEFAULT 0; -- counts the writes of the row
ALTER TABLE account ADD COLUMN edited INTEGER NOT NULL DEFAULT 0; -- 1: the row was found changed by somebody else, and its balance is not believed
ALTER TABLE account ADD COLUMN seal BLOB NOT NULL DEFAULT x''; -- HMAC-SHA256; empty while the books are not sealed
CREATE UNIQUE INDEX account_number ON account (number) WHERE number <> '';

-- One row once the books are sealed: an account whose seal is missing was edited from then on.
CREATE TABLE account_seal (
    one    INTEGER PRIMARY KEY,
    key_id BLOB NOT NULL -- tells a wrong key, and not what the key is
) STRICT;

-- What was done to an account beside entries: found edited, released, switched. Never changed.
CREATE TABLE account_note (
    account TEXT NOT NULL,
    version INTEGER NOT NULL, -- of the account's row with it
    code    TEXT NOT NULL,    -- ACCOUNT_EDITED | RELEASED | SWITCHED
    officer TEXT NOT NULL,    -- who did it; '' for the program itself
    detail  TEXT NOT NULL,
    PRIMARY KEY (account, version, code)
) STRICT;

-- Nightly proofs. A day's last run is the one that counts.
CREATE TABLE books_proof (
    day    TEXT NOT NULL,
    run    INTEGER NOT NULL,
    passed INTEGER NOT NULL, -- 0 | 1
    body   BLOB NOT NULL,    -- JSON, docs/books-proof.md
    PRIMARY KEY (day, run)
) STRICT;

-- +goose Down
DROP TABLE books_proof;
DROP TABLE account_note;
DROP TABLE account_seal;
DROP INDEX account_number;
ALTER TABLE account DROP COLUMN seal;
ALTER TABLE account DROP COLUMN edited;
ALTER TABLE account DROP COLUMN version;
ALTER TABLE account DROP COLUMN switches;
ALTER TABLE account DROP COLUMN number;
