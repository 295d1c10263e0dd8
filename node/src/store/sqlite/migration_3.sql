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
    hands_history    INTEGER NOT NULL,
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

-- How many recipients of an item are in each state, so that a step of one need not look at the others. Until then
-- `pending` said only whether some are.
ALTER TABLE outbox ADD COLUMN custody INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN acknowledged INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
DROP INDEX outbox_pending;
UPDATE outbox SET
    pending = (SELECT count(*) FROM outbox_recipients WHERE item = id AND state = 0),
    custody = (SELECT count(*) FROM outbox_recipients WHERE item = id AND state = 1),
    acknowledged = (SELECT count(*) FROM outbox_recipients WHERE item = id AND state = 2),
    failed = (SELECT count(*) FROM outbox_recipients WHERE item = id AND state = 3),
    left_out = (SELECT count(*) FROM outbox_recipients WHERE item = id AND state = 4);
CREATE INDEX outbox_pending ON outbox (id) WHERE pending > 0;
CREATE INDEX outbox_not_there ON outbox (purpose, subject) WHERE pending > 0 OR failed > 0;

-- In custody, and no device of its user acknowledged.
ALTER TABLE outbox_recipients ADD COLUMN awaited INTEGER NOT NULL DEFAULT 0;
UPDATE outbox_recipients SET awaited = 1 WHERE state = 1 AND NOT EXISTS (
    SELECT 1 FROM outbox_recipients AS other
    WHERE other.item = outbox_recipients.item AND other.user = outbox_recipients.user AND other.state = 2
);
CREATE INDEX outbox_recipients_by_user ON outbox_recipients (item, user);
CREATE INDEX outbox_recipients_pending ON outbox_recipients (item, position) WHERE state = 0;
CREATE INDEX outbox_recipients_awaited ON outbox_recipients (item, moment) WHERE awaited = 1;

-- When what an entry says is dropped; NULL: never, or it was.
ALTER TABLE entries ADD COLUMN expires INTEGER; -- u64
CREATE INDEX entries_expiring ON entries (expires, id) WHERE expires IS NOT NULL;
