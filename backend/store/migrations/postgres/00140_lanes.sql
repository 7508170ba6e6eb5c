-- +goose Up
-- Records are shared out over lanes by what they call their card (store.LaneOf), so that several posters post side by side and seldom meet at a card.
ALTER TABLE record ADD COLUMN lane BIGINT NOT NULL DEFAULT 0;
DROP INDEX record_pending;
CREATE INDEX record_lane ON record (lane, received_ms) WHERE verdict IS NULL;

-- One row a lane, and no more: who posts its records. A poster may post while its name stands here, and locks the rows of its lanes when it does.
CREATE TABLE posting_lane (
    lane  BIGINT PRIMARY KEY, -- 0 to 15
    owner TEXT COLLATE "C" NOT NULL, -- poster, '' for none
    fence BIGINT NOT NULL,    -- counts changes of the owner
    mark  BIGINT NOT NULL     -- counts transactions that posted records of the lane
);
INSERT INTO posting_lane (lane, owner, fence, mark) VALUES (0, '', 0, 0), (1, '', 0, 0), (2, '', 0, 0), (3, '', 0, 0), (4, '', 0, 0), (5, '', 0, 0), (6, '', 0, 0), (7, '', 0, 0),
    (8, '', 0, 0), (9, '', 0, 0), (10, '', 0, 0), (11, '', 0, 0), (12, '', 0, 0), (13, '', 0, 0), (14, '', 0, 0), (15, '', 0, 0);

-- Posters that run. One whose beat stands still is gone, and others take its lanes.
CREATE TABLE poster (
    id   TEXT COLLATE "C" PRIMARY KEY,
    beat BIGINT NOT NULL
);

-- +goose Down
DROP TABLE poster;
DROP TABLE posting_lane;
DROP INDEX record_lane;
CREATE INDEX record_pending ON record (received_ms) WHERE verdict IS NULL;
ALTER TABLE record DROP COLUMN lane;
