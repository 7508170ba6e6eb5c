-- +goose Up
-- Reservations: what a channel keeps back for an order, and which attempts reserve only.
ALTER TABLE gateway_order ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0;
ALTER TABLE gateway_payment ADD COLUMN reserve INTEGER NOT NULL DEFAULT 0; -- 1: reserves only

-- +goose Down
ALTER TABLE gateway_payment DROP COLUMN reserve;
ALTER TABLE gateway_order DROP COLUMN reserved;
