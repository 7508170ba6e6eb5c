-- +goose Up
-- Records are shared out over lanes by what they call their card (store.LaneOf), so that several posters post side by side and seldom meet at a card.
ALTER TABLE record ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;

-- One row a lane, and no more: who posts its records. A poster may post while its name stands here, and locks the rows of its lanes when it does.
CREATE TABLE posting_lane (
    lane  INTEGER PRIMARY KEY, -- 0 to 15
    owner TEXT NOT NULL,       -- poster, '' for none
    fence INTEGER NOT NULL,    -- counts changes of the owner
    mark  INTEGER NOT NULL     -- counts transactions that posted records of the lane
) STRICT;
INSERT INTO posting_lane (lane, owner, fence, mark) VALUES (0, '', 0, 0), (1, '', 0, 0), (2, '', 0, 0), (3, '', 0, 0), (4, '', 0, 0), (5, '', 0, 0), (6, '', 0, 0), (7, '', 0, 0),
    (8, '', 0, 0), (9, '', 0, 0), (10, '', 0, 0), (11, '', 0, 0), (12, '', 0, 0), (13, '', 0, 0), (14, '', 0, 0), (15, '', 0, 0);

-- Posters that run. One whose beat stands still is gone, and others take its lanes.
CREATE TABLE poster (
    id   TEXT PRIMARY KEY,
    beat INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE poster;
DROP TABLE posting_lane;
ALTER TABLE record DROP COLUMN lane;
