-- Migration 2.

ALTER TABLE account ADD COLUMN fault INTEGER; -- NULL: none

CREATE INDEX deliveries_waiting ON deliveries (conversation, seq) WHERE tick < 2;
