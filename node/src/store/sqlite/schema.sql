-- Migration 1. Ids, hashes and keys are blobs of their exact bytes. A 64-bit number without sign is stored
-- less 2^63 (`columns::int`), so that the order is kept over the whole range: such columns say "u64".
-- What only travels with its row (addresses, grants, ranges) is protobuf, as on the wire; signed
-- structures are a wire `Signed`.

CREATE TABLE account (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    name            TEXT NOT NULL,
    identity_seed   BLOB,
    device_seed     BLOB NOT NULL,
    xwing_seed      BLOB NOT NULL,
    fallback_prekey BLOB NOT NULL,
    bundle_key      BLOB NOT NULL,
    certificate     BLOB NOT NULL,
    device_list     BLOB NOT NULL,
    keys_made       INTEGER NOT NULL, -- u64
    superseded_seed BLOB,
    superseded_made INTEGER,          -- u64, with the seed
    linking         BLOB
) STRICT;

CREATE TABLE olm_account (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    state BLOB NOT NULL
) STRICT;

CREATE TABLE home_relays (
    relay               BLOB PRIMARY KEY,
    address             BLOB NOT NULL,
    priority            INTEGER NOT NULL,
    mailbox             BLOB NOT NULL,
    secret              BLOB NOT NULL,
    epoch               INTEGER NOT NULL,
    generation          BLOB,
    locator             BLOB NOT NULL,
    bundle_stored       INTEGER NOT NULL,
    prekey_batch        INTEGER NOT NULL, -- u64
    prekeys_unconfirmed BLOB NOT NULL,
    through_0           INTEGER NOT NULL, -- u64
    ranges_0            BLOB NOT NULL,
    through_1           INTEGER NOT NULL, -- u64
    ranges_1            BLOB NOT NULL
) STRICT;

CREATE TABLE contacts (
    user             BLOB PRIMARY KEY,
    name             TEXT NOT NULL,
    name_folded      TEXT NOT NULL, -- letter case aside
    state            INTEGER NOT NULL,
    blocked_since    INTEGER, -- u64; NULL when not blocked
    verified         INTEGER NOT NULL,
    identity_warning INTEGER NOT NULL,
    reinstalled      INTEGER NOT NULL,
    token            BLOB NOT NULL,
    former_tokens    BLOB NOT NULL,
    device_list      BLOB,
    bundles          BLOB NOT NULL,
    grants           BLOB NOT NULL,
    invitation       BLOB,
    introduction_due INTEGER NOT NULL,
    introduced       BLOB NOT NULL, -- device and big-endian milliseconds, one after the other
    reset_by         BLOB,
    refused          INTEGER,
    added            INTEGER NOT NULL -- u64
) STRICT;
CREATE INDEX contacts_by_name ON contacts (name_folded, user);

CREATE TABLE peer_devices (
    device  BLOB PRIMARY KEY,
    user    BLOB NOT NULL,
    bundle  BLOB NOT NULL,
    prekey  BLOB,
    fetched INTEGER NOT NULL -- u64
) STRICT;

CREATE TABLE invitations (
    handle      BLOB PRIMARY KEY,
    uses_max    INTEGER NOT NULL,
    used_by     BLOB NOT NULL,
    not_after   INTEGER NOT NULL, -- u64
    unconfirmed BLOB NOT NULL
) STRICT;

CREATE TABLE revocations (
    relay     BLOB NOT NULL,
    path      BLOB NOT NULL, -- the handles of the tokens' first steps
    confirmed INTEGER NOT NULL,
    PRIMARY KEY (relay, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX revocations_due ON revocations (relay, path) WHERE confirmed = 0;

-- Which entries set the account's record of a user.
CREATE TABLE account_changes (
    user        BLOB NOT NULL,
    entry       BLOB NOT NULL,
    is_put      INTEGER NOT NULL, -- else it is only known to be replaced
    is_replaced INTEGER NOT NULL,
    PRIMARY KEY (user, entry)
) STRICT, WITHOUT ROWID;
CREATE INDEX account_changes_standing ON account_changes (user, entry) WHERE is_put = 1 AND is_replaced = 0;

CREATE TABLE olm_sessions (
    device BLOB NOT NULL,
    id     BLOB NOT NULL,
    state  BLOB NOT NULL,
    used   INTEGER NOT NULL, -- u64
    PRIMARY KEY (device, id)
) STRICT;

CREATE TABLE prekey_bases (
    base_key BLOB PRIMARY KEY,
    at       INTEGER NOT NULL -- u64
) STRICT, WITHOUT ROWID;
CREATE INDEX prekey_bases_by_time ON prekey_bases (at);

CREATE TABLE outbound_channels (
    device  BLOB PRIMARY KEY,
    channel BLOB NOT NULL
) STRICT;

CREATE TABLE inbound_channels (
    number  INTEGER PRIMARY KEY AUTOINCREMENT, -- by when they were first put
    hash    BLOB NOT NULL UNIQUE,
    channel BLOB NOT NULL,
    device  BLOB
) STRICT;
CREATE INDEX inbound_channels_by_device ON inbound_channels (device, number);

CREATE TABLE channel_tags (
    tag  BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (tag, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX channel_tags_by_channel ON channel_tags (hash);

CREATE TABLE sender_keys (
    conversation   BLOB PRIMARY KEY,
    state          BLOB NOT NULL,
    header_key     BLOB NOT NULL,
    holders        BLOB NOT NULL,
    own_header_key BLOB NOT NULL,
    own_holders    BLOB NOT NULL,
    messages       INTEGER NOT NULL, -- u64
    turned         INTEGER NOT NULL
) STRICT;

CREATE TABLE receiver_keys (
    session      BLOB PRIMARY KEY,
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    state        BLOB NOT NULL,
    header_key   BLOB NOT NULL,
    next_index   INTEGER NOT NULL,
    tags_end     INTEGER NOT NULL,
    received     INTEGER NOT NULL -- u64
) STRICT;
CREATE INDEX receiver_keys_by_time ON receiver_keys (received);
CREATE INDEX receiver_keys_by_device ON receiver_keys (conversation, device, received, session);

CREATE TABLE message_tags (
    tag     BLOB NOT NULL,
    session BLOB NOT NULL,
    at      INTEGER NOT NULL, -- the index in the session
    PRIMARY KEY (tag, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_tags_by_session ON message_tags (session);

CREATE TABLE entries (
    number       INTEGER PRIMARY KEY,
    id           BLOB NOT NULL UNIQUE,
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    seq          INTEGER NOT NULL, -- u64
    effective    INTEGER NOT NULL, -- u64
    received     INTEGER NOT NULL, -- u64
    is_head      INTEGER NOT NULL, -- no held entry names it as a parent
    header       BLOB NOT NULL,
    signature    BLOB NOT NULL,
    body         BLOB NOT NULL
) STRICT;
CREATE INDEX entries_in_order ON entries (conversation, effective, device, id);
CREATE INDEX entries_by_seq ON entries (conversation, device, seq, id);
CREATE INDEX entries_heads ON entries (conversation, effective, device, id) WHERE is_head = 1;

CREATE TABLE parents (
    parent BLOB NOT NULL, -- held or not
    child  BLOB NOT NULL REFERENCES entries (id),
    PRIMARY KEY (parent, child)
) STRICT, WITHOUT ROWID;

CREATE TABLE frontiers (
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    seq          INTEGER NOT NULL, -- u64
    head         BLOB,
    ranges       BLOB NOT NULL,
    PRIMARY KEY (conversation, device)
) STRICT, WITHOUT ROWID;

-- Where a device's entries end: those with higher numbers do not count.
CREATE TABLE cuts (
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    through      INTEGER NOT NULL, -- u64
    head         BLOB,
    why          INTEGER NOT NULL,
    PRIMARY KEY (conversation, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE acknowledgements (
    conversation BLOB NOT NULL,
    device       BLOB NOT NULL,
    signed       BLOB NOT NULL,
    PRIMARY KEY (conversation, device)
) STRICT;

CREATE TABLE own_receipts (
    conversation BLOB PRIMARY KEY,
    counter      INTEGER NOT NULL, -- u64
    read         BLOB NOT NULL,
    due          INTEGER NOT NULL,
    own_due      INTEGER NOT NULL
) STRICT;
CREATE INDEX own_receipts_due ON own_receipts (conversation) WHERE due = 1 OR own_due = 1;

CREATE TABLE deliveries (
    entry         BLOB PRIMARY KEY,
    conversation  BLOB NOT NULL,
    seq           INTEGER NOT NULL, -- u64
    sealed        INTEGER NOT NULL,
    tick          INTEGER NOT NULL,
    failure       INTEGER,
    failure_value INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_by_seq ON deliveries (conversation, seq, entry);
CREATE INDEX deliveries_unread ON deliveries (conversation, seq, entry) WHERE tick < 4;
CREATE INDEX deliveries_unsealed ON deliveries (conversation, seq, entry) WHERE sealed = 0 AND failure IS NULL;

CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    publish      INTEGER NOT NULL, -- u64, the group
    purpose      INTEGER NOT NULL,
    subject      BLOB NOT NULL,
    class        INTEGER NOT NULL,
    created      INTEGER NOT NULL, -- u64
    pending      INTEGER NOT NULL, -- some recipient is
    custody_ends INTEGER           -- u64, the latest; NULL without any, or when a recipient acknowledged
) STRICT;
CREATE INDEX outbox_pending ON outbox (id) WHERE pending = 1;
CREATE INDEX outbox_by_purpose ON outbox (purpose, subject, id);
CREATE INDEX outbox_by_custody ON outbox (custody_ends, id) WHERE custody_ends IS NOT NULL;

-- Apart from its item, which is written anew with each step of a recipient.
CREATE TABLE outbox_payloads (
    item    INTEGER PRIMARY KEY REFERENCES outbox (id) ON DELETE CASCADE,
    payload BLOB NOT NULL
) STRICT;

CREATE TABLE outbox_recipients (
    item       INTEGER NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    device     BLOB NOT NULL,
    user       BLOB NOT NULL,
    state      INTEGER NOT NULL,
    attempts   INTEGER NOT NULL, -- pending
    moment     INTEGER NOT NULL, -- u64; pending: not before, custody: held until
    relay      BLOB,             -- custody
    PRIMARY KEY (item, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_recipients_by_device ON outbox_recipients (device, item);

CREATE TABLE seen (
    hash BLOB PRIMARY KEY,
    at   INTEGER NOT NULL -- u64
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_by_time ON seen (at);

CREATE TABLE quarantine (
    hash     BLOB PRIMARY KEY,
    received INTEGER NOT NULL, -- u64
    payload  BLOB NOT NULL
) STRICT;
CREATE INDEX quarantine_by_time ON quarantine (received, hash);
