-- Migration 6.

-- What the operator of a home relay gave to open a mailbox there; empty: nothing.
ALTER TABLE home_relays ADD COLUMN invitation BLOB NOT NULL DEFAULT x'';
