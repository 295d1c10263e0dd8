-- Migration 7.

-- When the latest introduction of this device was issued.
CREATE TABLE introduced (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at  INTEGER NOT NULL -- u64
) STRICT;

-- The last step of the tokens for a mailbox of a home relay that forgot everything once; NULL: it never did.
ALTER TABLE home_relays ADD COLUMN renewed BLOB;
