-- Migration 2.

ALTER TABLE account ADD COLUMN rolled_back INTEGER NOT NULL DEFAULT 0;

CREATE INDEX deliveries_waiting ON deliveries (conversation, seq) WHERE tick < 2;
