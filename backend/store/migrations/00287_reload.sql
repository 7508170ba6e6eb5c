-- +goose Up
-- What running backends were asked to read anew, and what each of them answered.
CREATE TABLE reload_asked (
    id    TEXT PRIMARY KEY,
    by    TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX reload_asked_at ON reload_asked (at_ms, id);
CREATE TABLE reload_answer (
    id      TEXT NOT NULL, -- of reload_asked
    process TEXT NOT NULL,
    why     TEXT NOT NULL, -- why nothing was taken over, '' if it was
    at_ms   INTEGER NOT NULL,
    PRIMARY KEY (id, process)
) STRICT;

-- +goose Down
DROP TABLE reload_answer;
DROP TABLE reload_asked;
