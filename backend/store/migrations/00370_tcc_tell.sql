-- +goose Up
-- What the channels of a combined payment's legs are told of it.
ALTER TABLE tcc ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE tcc ADD COLUMN return_url TEXT NOT NULL DEFAULT ''; -- where the payer's browser goes after paying
ALTER TABLE tcc ADD COLUMN client_ip TEXT NOT NULL DEFAULT '';  -- of the payer

-- A refund that its channel has not done yet is asked about in growing gaps, as payments are.
ALTER TABLE tcc_refund ADD COLUMN next_ms INTEGER NOT NULL DEFAULT 0; -- when it is looked at again
ALTER TABLE tcc_refund ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;   -- since it was ordered
DROP INDEX tcc_refund_open;
CREATE INDEX tcc_refund_open ON tcc_refund (next_ms) WHERE state = 'ordered';

-- +goose Down
DROP INDEX tcc_refund_open;
CREATE INDEX tcc_refund_open ON tcc_refund (at_ms) WHERE state = 'ordered';
ALTER TABLE tcc_refund DROP COLUMN tries;
ALTER TABLE tcc_refund DROP COLUMN next_ms;
ALTER TABLE tcc DROP COLUMN client_ip;
ALTER TABLE tcc DROP COLUMN return_url;
ALTER TABLE tcc DROP COLUMN subject;
