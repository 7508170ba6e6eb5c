-- +goose Up
-- Groups that were posted journal-first: their entries are in the books, their records have verdicts, and what became of their cards stands here until it is written
-- into claims and cards, together with that of other groups. A poster that posts so knows the cards by heart meanwhile; whoever else wants to know them writes the
-- journal out first.
CREATE TABLE posting_journal (
    number BIGINT PRIMARY KEY, -- posting group
    lanes  BIGINT NOT NULL,    -- of its poster, a bit each
    body   BYTEA NOT NULL      -- store.journalBody
);

-- +goose Down
DROP TABLE posting_journal;
