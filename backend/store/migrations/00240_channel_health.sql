-- +goose Up
-- The state of payment channels, and of one bank on a channel (bank '' is the channel as a whole). A row changes only while its version stands.
CREATE TABLE channel_state (
    channel  TEXT NOT NULL,
    bank     TEXT NOT NULL,
    card     TEXT NOT NULL,
    version  INTEGER NOT NULL,
    state    INTEGER NOT NULL, -- 0 available, 1 unavailable, 2 ramping
    share    INTEGER NOT NULL, -- of its traffic, in millionths
    step     INTEGER NOT NULL,
    tries    INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    due_ms   INTEGER NOT NULL,
    incident INTEGER NOT NULL, -- version of the move that began it, 0 none
    traffic  INTEGER NOT NULL, -- payments before the fault, in thousandths a second
    PRIMARY KEY (channel, bank, card)
) STRICT, WITHOUT ROWID;

-- Every move, for ever: who, when, why.
CREATE TABLE channel_move (
    channel  TEXT NOT NULL,
    bank     TEXT NOT NULL,
    card     TEXT NOT NULL,
    version  INTEGER NOT NULL, -- after the move
    event    TEXT NOT NULL,
    action   TEXT NOT NULL,
    state    INTEGER NOT NULL, -- after it
    share    INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    by_whom  TEXT NOT NULL, -- '' the cell itself
    reason   TEXT NOT NULL,
    payments INTEGER NOT NULL, -- evidence of a fault: of so many
    failed   INTEGER NOT NULL, -- so many failed
    PRIMARY KEY (channel, bank, card, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX channel_move_at ON channel_move (at_ms);

-- One row a fault, from the move out to the move back in full. It is closed by a person, with a cause.
CREATE TABLE channel_incident (
    channel   TEXT NOT NULL,
    bank      TEXT NOT NULL,
    card      TEXT NOT NULL,
    incident  INTEGER NOT NULL,
    began_ms  INTEGER NOT NULL,
    ended_ms  INTEGER NOT NULL, -- 0: it lasts
    cause     TEXT NOT NULL,    -- '': not closed
    note      TEXT NOT NULL,
    closed_by TEXT NOT NULL,
    closed_ms INTEGER NOT NULL,
    PRIMARY KEY (channel, bank, card, incident)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE channel_incident;
DROP TABLE channel_move;
DROP TABLE channel_state;
