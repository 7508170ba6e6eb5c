-- +goose Up
-- What came of both sides of an experiment up to counted_ms; only what was decided since is counted again.
ALTER TABLE channel_experiment ADD COLUMN counted_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE channel_experiment ADD COLUMN base_orders BIGINT NOT NULL DEFAULT 0;
ALTER TABLE channel_experiment ADD COLUMN base_good BIGINT NOT NULL DEFAULT 0;
ALTER TABLE channel_experiment ADD COLUMN variant_orders BIGINT NOT NULL DEFAULT 0;
ALTER TABLE channel_experiment ADD COLUMN variant_good BIGINT NOT NULL DEFAULT 0;
DROP INDEX channel_decision_experiment;
CREATE INDEX channel_decision_experiment ON channel_decision (experiment, at_ms) WHERE experiment <> '';

-- +goose Down
DROP INDEX channel_decision_experiment;
CREATE INDEX channel_decision_experiment ON channel_decision (experiment, order_id) WHERE experiment <> '';
ALTER TABLE channel_experiment DROP COLUMN variant_good;
ALTER TABLE channel_experiment DROP COLUMN variant_orders;
ALTER TABLE channel_experiment DROP COLUMN base_good;
ALTER TABLE channel_experiment DROP COLUMN base_orders;
ALTER TABLE channel_experiment DROP COLUMN counted_ms;
