-- Migration 2.

ALTER TABLE account ADD COLUMN fault INTEGER; -- NULL: none

-- One device's, whatever the conversation.
CREATE INDEX receiver_keys_of_device ON receiver_keys (device, received, session);

CREATE INDEX deliveries_waiting ON deliveries (conversation, seq) WHERE tick < 2;

-- What is missing of a device, both ends included.
CREATE TABLE gaps (
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    first        INTEGER NOT NULL, -- u64
    last         INTEGER NOT NULL, -- u64
    days         INTEGER NOT NULL, -- on which it was looked for in vain
    looked       INTEGER NOT NULL, -- u64
    PRIMARY KEY (conversation, device, first)
) STRICT, WITHOUT ROWID;

-- An earlier sender key is of no known age: the least number there is, so that it is renewed (u64).
ALTER TABLE sender_keys ADD COLUMN made INTEGER NOT NULL DEFAULT -9223372036854775808;

-- All are forgotten by their age alone.
DROP INDEX receiver_keys_by_device;

CREATE TABLE acknowledged (
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    delivered    BLOB NOT NULL,
    read         BLOB NOT NULL,
    next         INTEGER, -- u64
    PRIMARY KEY (conversation, device)
) STRICT;
