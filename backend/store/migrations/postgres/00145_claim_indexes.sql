-- +goose Up
-- Indexes of claims grow at their ends: a group adds to a few pages of each, where it changed one page a card. Claims of a day stand by arrival, and a debit begins with
-- what the taps of one terminal have in common.
DROP INDEX claim_day;
DROP INDEX claim_debit;
CREATE INDEX claim_day ON claim (day, received_ms);
CREATE INDEX claim_debit ON claim (debit, card) WHERE debit <> '\x';

-- +goose Down
DROP INDEX claim_debit;
DROP INDEX claim_day;
CREATE INDEX claim_day ON claim (day);
CREATE INDEX claim_debit ON claim (card, debit) WHERE debit <> '\x';
