-- +goose Up
-- What an account may do, and a seal over its row: whoever changes a row by SQL has no key to seal it again.
ALTER TABLE account ADD COLUMN number TEXT COLLATE "C" NOT NULL DEFAULT ''; -- type, digits, check digit; '' until the books are sealed
ALTER TABLE account ADD COLUMN switches BIGINT NOT NULL DEFAULT -1; -- bits of books.Switches; -1: nobody has switched it
ALTER TABLE account ADD COLUMN version BIGINT NOT NULL DEFAULT 0; -- counts the writes of the row
ALTER TABLE account ADD COLUMN edited BIGINT NOT NULL DEFAULT 0; -- 1: the row was found changed by somebody else, and its balance is not believed
ALTER TABLE account ADD COLUMN seal BYTEA NOT NULL DEFAULT ''; -- HMAC-SHA256; empty while the books are not sealed
CREATE UNIQUE INDEX account_number ON account (number) WHERE number <> '';

-- One row once the books are sealed: an account whose seal is missing was edited from then on.
CREATE TABLE account_seal (
    one    BIGINT PRIMARY KEY,
    key_id BYTEA NOT NULL -- tells a wrong key, and not what the key is
);

-- What was done to an account beside entries: found edited, released, switched. Never changed.
CREATE TABLE account_note (
    account TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL, -- of the account's row with it
    code    TEXT COLLATE "C" NOT NULL,    -- ACCOUNT_EDITED | RELEASED | SWITCHED
    officer TEXT COLLATE "C" NOT NULL,    -- who did it; '' for the program itself
    detail  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account, version, code)
);

-- Nightly proofs. A day's last run is the one that counts.
CREATE TABLE books_proof (
    day    TEXT COLLATE "C" NOT NULL,
    run    BIGINT NOT NULL,
    passed BIGINT NOT NULL, -- 0 | 1
    body   BYTEA NOT NULL,    -- JSON, docs/books-proof.md
    PRIMARY KEY (day, run)
);

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
