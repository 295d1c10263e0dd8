-- Migration 7.

-- When the latest introduction of this device was issued.
CREATE TABLE introduced (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at  INTEGER NOT NULL -- u64
) STRICT;
