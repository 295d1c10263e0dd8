-- Migration 10.

-- With which number the device's entries that are for this one begin, as it says. Of a key that is there it is not known:
-- all of them count.
ALTER TABLE receiver_keys ADD COLUMN next_seq INTEGER NOT NULL DEFAULT -9223372036854775807; -- u64: 1
