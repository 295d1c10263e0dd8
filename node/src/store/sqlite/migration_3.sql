-- Migration 3.

-- What entries say of others, held or not: which may count. Filled from the entries that are there.
CREATE TABLE annotations (
    conversation BLOB NOT NULL,
    target       BLOB NOT NULL,
    kind         INTEGER NOT NULL, -- 0: hidden
    device       BLOB NOT NULL,
    seq          INTEGER NOT NULL, -- u64
    entry        BLOB NOT NULL,
    PRIMARY KEY (conversation, target, kind, device, seq, entry)
) STRICT, WITHOUT ROWID;

-- When a device first acknowledged an author's entries through a number, by its own clock.
CREATE TABLE acknowledged_at (
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    author       BLOB NOT NULL,
    read         INTEGER NOT NULL, -- or delivered
    through      INTEGER NOT NULL, -- u64
    at           INTEGER NOT NULL, -- u64
    PRIMARY KEY (conversation, device, author, read, through)
) STRICT, WITHOUT ROWID;
