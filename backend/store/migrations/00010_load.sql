-- +goose Up
-- A load order: money an agent was paid for a card not yet known. States and moves are topup's table.
CREATE TABLE load_order (
    id              TEXT PRIMARY KEY,
    agent           TEXT NOT NULL, -- acquirer whose agent took the money
    idempotency_key TEXT NOT NULL,
    amount          INTEGER NOT NULL,
    state           TEXT NOT NULL,
    card            BLOB,    -- bound while the money is on its way, and for ever once it is there
    counter         INTEGER NOT NULL DEFAULT 0, -- the card's online counter before the load
    challenge       BLOB NOT NULL DEFAULT x'', -- of the newest session: a terminal number no one could know before it
    bookings        INTEGER NOT NULL DEFAULT 0, -- times the money left for a card
    sessions        INTEGER NOT NULL DEFAULT 0,
    proof           TEXT NOT NULL DEFAULT '', -- how the credit is known
    created_ms      INTEGER NOT NULL,
    changed_ms      INTEGER NOT NULL,
    UNIQUE (agent, idempotency_key)
) STRICT;
-- One open load a card: the rule stands here too, whatever the code above does.
CREATE UNIQUE INDEX load_order_open ON load_order (card) WHERE state IN ('in_progress', 'uncertain');
CREATE INDEX load_order_state ON load_order (state, changed_ms);
CREATE INDEX load_order_created ON load_order (created_ms);

-- Every INITIALIZE answer that got a MAC2. A TAC is checked against each: calls may arrive in another order than
-- they were made in. MAC2 is not kept; it is made again from these.
CREATE TABLE load_session (
    order_id  TEXT NOT NULL REFERENCES load_order (id),
    n         INTEGER NOT NULL, -- 1, 2, 3 …
    booking   INTEGER NOT NULL,
    card      BLOB NOT NULL,
    counter   INTEGER NOT NULL,
    balance   INTEGER NOT NULL, -- before
    terminal  BLOB NOT NULL, -- 6 bytes
    version   INTEGER NOT NULL,
    algorithm INTEGER NOT NULL,
    random    BLOB NOT NULL,
    mac1      BLOB NOT NULL,
    date_time BLOB NOT NULL, -- the host's, 7 bytes BCD
    at_ms     INTEGER NOT NULL,
    PRIMARY KEY (order_id, n)
) STRICT;

-- What a card showed online, its MAC1 verified.
CREATE TABLE load_witness (
    card    BLOB NOT NULL,
    at_ms   INTEGER NOT NULL,
    counter INTEGER NOT NULL, -- online
    balance INTEGER NOT NULL,
    agent   TEXT NOT NULL,
    PRIMARY KEY (card, at_ms, counter, balance)
) STRICT;

-- What is suspicious about an order; kept until an officer has looked.
CREATE TABLE load_finding (
    order_id TEXT NOT NULL,
    code     TEXT NOT NULL,
    detail   TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    PRIMARY KEY (order_id, code, detail)
) STRICT;

-- +goose Down
DROP TABLE load_finding;
DROP TABLE load_witness;
DROP TABLE load_session;
DROP TABLE load_order;
