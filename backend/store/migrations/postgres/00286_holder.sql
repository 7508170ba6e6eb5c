-- +goose Up
-- Changes of holders' balances and points that one person asks for and another decides.
CREATE TABLE holder_change (
    id          TEXT COLLATE "C" PRIMARY KEY,
    kind        TEXT COLLATE "C" NOT NULL,    -- balance | points
    holder      TEXT COLLATE "C" NOT NULL,
    currency    TEXT COLLATE "C" NOT NULL,
    amount      BIGINT NOT NULL, -- positive: more
    expires_ms  BIGINT NOT NULL, -- of points that are given, 0 for never
    by          TEXT COLLATE "C" NOT NULL,
    reason      TEXT COLLATE "C" NOT NULL,
    asked_ms    BIGINT NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,    -- asked | done | refused
    decided_by  TEXT COLLATE "C" NOT NULL,
    decided_why TEXT COLLATE "C" NOT NULL,
    decided_ms  BIGINT NOT NULL
);
CREATE INDEX holder_change_asked ON holder_change (asked_ms, id);

-- Points that expire: what is left of them then, the first to expire being used first.
CREATE TABLE points_lot (
    id         TEXT COLLATE "C" PRIMARY KEY,
    holder     TEXT COLLATE "C" NOT NULL,
    currency   TEXT COLLATE "C" NOT NULL,
    amount     BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    ended      BIGINT NOT NULL
);
CREATE INDEX points_lot_due ON points_lot (expires_ms, id) WHERE ended = 0;
CREATE INDEX points_lot_holder ON points_lot (holder, currency);

-- +goose Down
DROP TABLE points_lot;
DROP TABLE holder_change;
