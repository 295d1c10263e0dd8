-- Migration 3.

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
