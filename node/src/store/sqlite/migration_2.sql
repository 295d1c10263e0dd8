-- Migration 2.

ALTER TABLE account ADD COLUMN fault INTEGER; -- NULL: none

-- One device's, whatever the conversation.
CREATE INDEX receiver_keys_of_device ON receiver_keys (device, received, session);

CREATE INDEX deliveries_waiting ON deliveries (conversation, seq) WHERE tick < 2;
