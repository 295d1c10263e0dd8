-- Migration 2.

ALTER TABLE account ADD COLUMN rolled_back INTEGER NOT NULL DEFAULT 0;

CREATE INDEX deliveries_waiting ON deliveries (conversation, seq) WHERE tick < 2;

CREATE TABLE acknowledged (
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    delivered    BLOB NOT NULL,
    read         BLOB NOT NULL,
    next         INTEGER, -- u64
    PRIMARY KEY (conversation, device)
) STRICT;
