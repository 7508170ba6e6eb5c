-- +goose Up
-- What is frozen of an account's balance: promised, and not paid yet. An open hold takes from what may be used, not from the balance.
CREATE TABLE account_hold (
    id       TEXT COLLATE "C" PRIMARY KEY,
    account  TEXT COLLATE "C" NOT NULL,
    amount   BIGINT NOT NULL,
    until_ms BIGINT NOT NULL, -- when who holds it should have ended it; nothing ends by itself
    state    TEXT COLLATE "C" NOT NULL,    -- open | released | settled
    entry    TEXT COLLATE "C" NOT NULL     -- that settled it, else ''
);
CREATE INDEX account_hold_open ON account_hold (account) WHERE state = 'open';
CREATE INDEX account_hold_overdue ON account_hold (until_ms) WHERE state = 'open';

-- +goose Down
DROP TABLE account_hold;
