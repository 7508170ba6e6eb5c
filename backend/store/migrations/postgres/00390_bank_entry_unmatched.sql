-- +goose Up
-- Lines of bank statements that no payment of ours explains are few, and are looked at often.
CREATE INDEX bank_entry_unmatched ON bank_entry (day, account, statement, ref) WHERE unmatched <> 0;

-- +goose Down
DROP INDEX bank_entry_unmatched;
