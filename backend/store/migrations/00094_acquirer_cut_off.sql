-- +goose Up
-- When an acquirer's clearing day ends. An acquirer without a row has the scheme's time zone and midnight.
CREATE TABLE acquirer_cut_off (
    acquirer  TEXT PRIMARY KEY REFERENCES acquirer (id),
    time_zone TEXT NOT NULL, -- IANA name
    cut_off   TEXT NOT NULL  -- HH:MM after the midnight with which the day begins, up to 36:00
) STRICT;

-- +goose Down
DROP TABLE acquirer_cut_off;
