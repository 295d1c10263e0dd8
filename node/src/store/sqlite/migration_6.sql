-- Migration 6.

-- What home relays hold for other relays, or may, and is not answered yet.
CREATE TABLE forwards (
    id          BLOB PRIMARY KEY,
    relay       BLOB NOT NULL,    -- the destination
    via         BLOB NOT NULL,    -- the home relay
    made        INTEGER NOT NULL, -- u64
    not_after   INTEGER NOT NULL, -- u64
    waits_until INTEGER,          -- u64; NULL: the home relay has not said that it holds it
    counter     INTEGER NOT NULL, -- u64, in its circuit
    answer_key  BLOB NOT NULL,    -- the circuit's
    items       BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What the operator of a home relay gave to open a mailbox there; empty: nothing.
ALTER TABLE home_relays ADD COLUMN invitation BLOB NOT NULL DEFAULT x'';
