-- Migration 5.

-- Whether others are told of a home relay, or were before these were there: of all.
ALTER TABLE home_relays ADD COLUMN announced INTEGER NOT NULL DEFAULT 1;
-- When the user gave it up, and when somebody was last not told of that (u64); NULL: it stays.
ALTER TABLE home_relays ADD COLUMN retired INTEGER;
ALTER TABLE home_relays ADD COLUMN untold INTEGER;

-- Which relays hold something for which devices.
CREATE INDEX outbox_recipients_custody ON outbox_recipients (device, user, relay) WHERE state = 1;
