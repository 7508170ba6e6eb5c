-- +goose Up
-- What a case of kind goodwill proposes to give back to a holder, and the load order that has it once two officers agreed.
CREATE TABLE case_repay (
    case_id    TEXT COLLATE "C" PRIMARY KEY REFERENCES claim_case (id),
    agent      TEXT COLLATE "C" NOT NULL,    -- acquirer whose desk or kiosk hands it over
    amount     BIGINT NOT NULL, -- minor units
    load_order TEXT COLLATE "C" NOT NULL     -- '' until it is decided
);
CREATE INDEX case_repay_order ON case_repay (load_order) WHERE load_order <> '';

-- +goose Down
DROP TABLE case_repay;
