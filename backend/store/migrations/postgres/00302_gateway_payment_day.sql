-- +goose Up
-- What an account has taken of the limit of its day.
CREATE INDEX gateway_payment_day ON gateway_payment (channel, created_ms);

-- +goose Down
DROP INDEX gateway_payment_day;
