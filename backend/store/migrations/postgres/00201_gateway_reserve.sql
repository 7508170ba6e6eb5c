-- +goose Up
-- Reservations: what a channel keeps back for an order, and which attempts reserve only.
ALTER TABLE gateway_order ADD COLUMN reserved BIGINT NOT NULL DEFAULT 0;
ALTER TABLE gateway_payment ADD COLUMN reserve BIGINT NOT NULL DEFAULT 0; -- 1: reserves only

-- +goose Down
ALTER TABLE gateway_payment DROP COLUMN reserve;
ALTER TABLE gateway_order DROP COLUMN reserved;
