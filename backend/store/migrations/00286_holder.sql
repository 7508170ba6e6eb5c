-- +goose Up
-- Changes of holders' balances and points that one person asks for and another decides.
CREATE TABLE holder_change (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,    -- balance | points
    holder      TEXT NOT NULL,
    currency    TEXT NOT NULL,
    amount      INTEGER NOT NULL, -- positive: more
    expires_ms  INTEGER NOT NULL, -- of points that are given, 0 for never
    by          TEXT NOT NULL,
    reason      TEXT NOT NULL,
    asked_ms    INTEGER NOT NULL,
    state       TEXT NOT NULL,    -- asked | done | refused
    decided_by  TEXT NOT NULL,
    decided_why TEXT NOT NULL,
    decided_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX holder_change_asked ON holder_change (asked_ms, id);

-- Points that expire: what is left of them then, the first to expire being used first.
CREATE TABLE points_lot (
    id         TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    currency   TEXT NOT NULL,
    amount     INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    ended      INTEGER NOT NULL
) STRICT;
CREATE INDEX points_lot_due ON points_lot (expires_ms, id) WHERE ended = 0;
CREATE INDEX points_lot_holder ON points_lot (holder, currency);

-- +goose Down
DROP TABLE points_lot;
DROP TABLE holder_change;
