-- Migration 8.

-- When others are told that a home relay lost what it held, and where it is, as it came too soon after another time;
-- NULL: they need not be.
ALTER TABLE home_relays ADD COLUMN lost_due  INTEGER; -- u64
ALTER TABLE home_relays ADD COLUMN moved_due INTEGER; -- u64
