-- +goose Up
-- What running backends were asked to read anew, and what each of them answered.
CREATE TABLE reload_asked (
    id    TEXT COLLATE "C" PRIMARY KEY,
    by    TEXT COLLATE "C" NOT NULL,
    at_ms BIGINT NOT NULL
);
CREATE INDEX reload_asked_at ON reload_asked (at_ms, id);
CREATE TABLE reload_answer (
    id      TEXT COLLATE "C" NOT NULL, -- of reload_asked
    process TEXT COLLATE "C" NOT NULL,
    why     TEXT COLLATE "C" NOT NULL, -- why nothing was taken over, '' if it was
    at_ms   BIGINT NOT NULL,
    PRIMARY KEY (id, process)
);

-- +goose Down
DROP TABLE reload_answer;
DROP TABLE reload_asked;
