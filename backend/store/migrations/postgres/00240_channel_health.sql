-- +goose Up
-- The state of payment channels, and of one bank on a channel (bank '' is the channel as a whole). A row changes only while its version stands.
CREATE TABLE channel_state (
    channel  TEXT COLLATE "C" NOT NULL,
    bank     TEXT COLLATE "C" NOT NULL,
    card     TEXT COLLATE "C" NOT NULL,
    version  BIGINT NOT NULL,
    state    BIGINT NOT NULL, -- 0 available, 1 unavailable, 2 ramping
    share    BIGINT NOT NULL, -- of its traffic, in millionths
    step     BIGINT NOT NULL,
    tries    BIGINT NOT NULL,
    since_ms BIGINT NOT NULL,
    due_ms   BIGINT NOT NULL,
    incident BIGINT NOT NULL, -- version of the move that began it, 0 none
    traffic  BIGINT NOT NULL, -- payments before the fault, in thousandths a second
    PRIMARY KEY (channel, bank, card)
);

-- Every move, for ever: who, when, why.
CREATE TABLE channel_move (
    channel  TEXT COLLATE "C" NOT NULL,
    bank     TEXT COLLATE "C" NOT NULL,
    card     TEXT COLLATE "C" NOT NULL,
    version  BIGINT NOT NULL, -- after the move
    event    TEXT COLLATE "C" NOT NULL,
    action   TEXT COLLATE "C" NOT NULL,
    state    BIGINT NOT NULL, -- after it
    share    BIGINT NOT NULL,
    at_ms    BIGINT NOT NULL,
    by_whom  TEXT COLLATE "C" NOT NULL, -- '' the cell itself
    reason   TEXT COLLATE "C" NOT NULL,
    payments BIGINT NOT NULL, -- evidence of a fault: of so many
    failed   BIGINT NOT NULL, -- so many failed
    PRIMARY KEY (channel, bank, card, version)
);
CREATE INDEX channel_move_at ON channel_move (at_ms);

-- One row a fault, from the move out to the move back in full. It is closed by a person, with a cause.
CREATE TABLE channel_incident (
    channel   TEXT COLLATE "C" NOT NULL,
    bank      TEXT COLLATE "C" NOT NULL,
    card      TEXT COLLATE "C" NOT NULL,
    incident  BIGINT NOT NULL,
    began_ms  BIGINT NOT NULL,
    ended_ms  BIGINT NOT NULL, -- 0: it lasts
    cause     TEXT COLLATE "C" NOT NULL,    -- '': not closed
    note      TEXT COLLATE "C" NOT NULL,
    closed_by TEXT COLLATE "C" NOT NULL,
    closed_ms BIGINT NOT NULL,
    PRIMARY KEY (channel, bank, card, incident)
);

-- +goose Down
DROP TABLE channel_incident;
DROP TABLE channel_move;
DROP TABLE channel_state;
