-- +goose Up
-- When what an order earned became available to its merchant.
ALTER TABLE gateway_order ADD COLUMN earned_ms BIGINT NOT NULL DEFAULT 0; -- 0: it is pending, or it earns nobody anything
-- Payments of before: they are looked at by the next scan.
UPDATE gateway_order SET due_ms = paid_ms WHERE state IN ('paid', 'part_refunded') AND due_ms = 0 AND substr(context, 7, 2) = '01';

-- +goose Down
ALTER TABLE gateway_order DROP COLUMN earned_ms;
