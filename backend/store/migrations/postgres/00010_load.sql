-- +goose Up
-- A load order: money an agent was paid for a card not yet known. States and moves are topup's table.
CREATE TABLE load_order (
    id              TEXT COLLATE "C" PRIMARY KEY,
    agent           TEXT COLLATE "C" NOT NULL, -- acquirer whose agent took the money
    idempotency_key TEXT COLLATE "C" NOT NULL,
    amount          BIGINT NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    card            BYTEA,    -- bound while the money is on its way, and for ever once it is there
    counter         BIGINT NOT NULL DEFAULT 0, -- the card's online counter before the load
    challenge       BYTEA NOT NULL DEFAULT '\x', -- of the newest session: a terminal number no one could know before it
    bookings        BIGINT NOT NULL DEFAULT 0, -- times the money left for a card
    sessions        BIGINT NOT NULL DEFAULT 0,
    proof           TEXT COLLATE "C" NOT NULL DEFAULT '', -- how the credit is known
    created_ms      BIGINT NOT NULL,
    changed_ms      BIGINT NOT NULL,
    UNIQUE (agent, idempotency_key)
);
-- One open load a card: the rule stands here too, whatever the code above does.
CREATE UNIQUE INDEX load_order_open ON load_order (card) WHERE state IN ('in_progress', 'uncertain');
CREATE INDEX load_order_state ON load_order (state, changed_ms);
CREATE INDEX load_order_created ON load_order (created_ms);

-- Every INITIALIZE answer that got a MAC2. A TAC is checked against each: calls may arrive in another order than
-- they were made in. MAC2 is not kept; it is made again from these.
CREATE TABLE load_session (
    order_id  TEXT COLLATE "C" NOT NULL REFERENCES load_order (id),
    n         BIGINT NOT NULL, -- 1, 2, 3 …
    booking   BIGINT NOT NULL,
    card      BYTEA NOT NULL,
    counter   BIGINT NOT NULL,
    balance   BIGINT NOT NULL, -- before
    terminal  BYTEA NOT NULL, -- 6 bytes
    version   BIGINT NOT NULL,
    algorithm BIGINT NOT NULL,
    random    BYTEA NOT NULL,
    mac1      BYTEA NOT NULL,
    date_time BYTEA NOT NULL, -- the host's, 7 bytes BCD
    at_ms     BIGINT NOT NULL,
    PRIMARY KEY (order_id, n)
);

-- What a card showed online, its MAC1 verified.
CREATE TABLE load_witness (
    card    BYTEA NOT NULL,
    at_ms   BIGINT NOT NULL,
    counter BIGINT NOT NULL, -- online
    balance BIGINT NOT NULL,
    agent   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (card, at_ms, counter, balance)
);

-- What is suspicious about an order; kept until an officer has looked.
CREATE TABLE load_finding (
    order_id TEXT COLLATE "C" NOT NULL,
    code     TEXT COLLATE "C" NOT NULL,
    detail   TEXT COLLATE "C" NOT NULL,
    at_ms    BIGINT NOT NULL,
    PRIMARY KEY (order_id, code, detail)
);

-- +goose Down
DROP TABLE load_finding;
DROP TABLE load_witness;
DROP TABLE load_session;
DROP TABLE load_order;
