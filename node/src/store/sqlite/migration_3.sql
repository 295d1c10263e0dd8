-- Migration 3.

CREATE TABLE groups (
    id       BLOB PRIMARY KEY,
    name     TEXT NOT NULL,
    standing INTEGER NOT NULL,
    added    INTEGER NOT NULL -- u64
) STRICT, WITHOUT ROWID;

-- Apart from its group, which is read more often.
CREATE TABLE group_documents (
    id       BLOB PRIMARY KEY,
    document BLOB NOT NULL
) STRICT;

CREATE TABLE members (
    conversation     BLOB NOT NULL, -- the group
    user             BLOB NOT NULL,
    removed          INTEGER, -- u64; NULL: is in
    from_seq         INTEGER NOT NULL, -- u64
    token            BLOB NOT NULL,
    former_tokens    BLOB NOT NULL,
    grants           BLOB NOT NULL,
    introduced       BLOB NOT NULL, -- as in contacts
    introduction_due INTEGER NOT NULL,
    welcome_due      INTEGER NOT NULL,
    PRIMARY KEY (conversation, user)
) STRICT;
CREATE INDEX members_by_user ON members (user, conversation);

-- Entries that do not count, as their authors were out or are put out.
CREATE TABLE voids (
    entry BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

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
