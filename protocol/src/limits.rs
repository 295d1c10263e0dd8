//! Every limit of the protocol, with its unit in its name.

use std::time::Duration;

const KIB: usize = 1024;

/// The protocol version that this build speaks; the first is 1.
pub const PROTOCOL_VERSION: u32 = 1;
/// The one cipher suite so far; `crypto.md` says what it stands for.
pub const SUITE: u8 = 1;

/// The largest envelope payload. Larger content travels as media.
pub const PAYLOAD_BYTES_MAX: usize = 64 * KIB;
/// The largest frame on a stream, length prefix left out.
pub const FRAME_BYTES_MAX: usize = 256 * KIB;
/// The largest WebSocket message, where frames travel over WebSocket.
pub const WEBSOCKET_MESSAGE_BYTES_MAX: usize = 256 * KIB;
/// Items (payloads) in one publish.
pub const PUBLISH_ITEMS_MAX: usize = 16;
/// Recipients of one item.
pub const PUBLISH_RECIPIENTS_MAX: usize = 1_024;
/// Bytes of payload in one publish; leaves room for routes in a frame.
pub const PUBLISH_PAYLOAD_BYTES_MAX: usize = 160 * KIB;
/// Publishes that a client may have unanswered on one connection.
pub const PUBLISHES_IN_FLIGHT_MAX: usize = 64;
/// Ranges in one acknowledgement of deliveries.
pub const ACK_RANGES_MAX: usize = 64;

/// The largest parcel that relays pass on: a frame has room for it and what goes around it.
pub const PARCEL_BYTES_MAX: usize = 248 * KIB;
/// Addresses of the destination in one forward.
pub const FORWARD_ADDRESSES_MAX: usize = 4;
/// A destination decides no parcel whose end lies further ahead.
pub const FORWARD_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Parcels in one frame between relays.
pub const CARRY_PARCELS_MAX: usize = 64;
/// Forward ids in one acknowledgement of answers.
pub const FORWARDS_TAKEN_MAX: usize = 64;
/// Senders seal to a routing key for at most this long.
pub const ROUTING_KEY_LIFE: Duration = Duration::from_secs(14 * 24 * 3600);
/// A relay makes a new routing key when the newest is so old.
pub const ROUTING_KEY_ROTATED: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes of the body of a relay record.
pub const RELAY_RECORD_BYTES_MAX: usize = 2_304;
/// Nobody takes a relay record from somebody after this.
pub const RELAY_RECORD_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// A relay makes a new relay record when the newest is so old.
pub const RELAY_RECORD_RENEWED: Duration = Duration::from_secs(24 * 3600);
/// A relay record that was issued further ahead than this is not taken.
pub const RELAY_RECORD_AHEAD_MAX: Duration = Duration::from_secs(600);
/// A sender uses a circuit for at most this long.
pub const CIRCUIT_AGE_MAX: Duration = Duration::from_secs(3600);
/// A sender uses a circuit for at most so many forwards.
pub const CIRCUIT_FORWARDS_MAX: u64 = 100;

/// Longest life of an envelope at a relay.
pub const ENVELOPE_TTL_MAX: Duration = Duration::from_secs(21 * 24 * 3600);
/// How long a relay remembers a payload after it was deleted.
pub const DEDUP_AFTER_DELETION: Duration = Duration::from_secs(24 * 3600);
/// What a relay holds goes out again by another one when it can't be reached for so long.
pub const CUSTODIAN_WAIT: Duration = Duration::from_secs(600);
/// What a relay does not answer, or has no room for, for so long goes by another one.
pub const FALL_OVER_WAIT: Duration = Duration::from_secs(5);
/// After the last custody ended without an acknowledgement, a message shows as expired this much later.
pub const EXPIRY_GRACE: Duration = Duration::from_secs(24 * 3600);

/// Steps in a delivery token.
pub const TOKEN_STEPS_MAX: usize = 4;
/// Revoked prefixes that a relay keeps for one mailbox; beyond it the owner starts a new epoch.
pub const REVOKED_PREFIXES_MAX: usize = 4_096;
/// Open introductions (invitations) of one mailbox.
pub const INTRODUCTIONS_MAX: usize = 256;
/// Uses that one invitation may have.
pub const INVITATION_USES_MAX: u32 = 1_000;
/// Life of an invitation unless its maker says otherwise.
pub const INVITATION_LIFE_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Relays in one invitation.
pub const INVITATION_RELAYS_MAX: usize = 4;

/// The largest body of a device's checkpoint.
pub const CHECKPOINT_BYTES_MAX: usize = 64;
/// The largest bundle blob at a relay, encrypted.
pub const BUNDLE_BYTES_MAX: usize = 48 * KIB;
/// The largest one-time prekey blob at a relay, encrypted.
pub const PREKEY_BYTES_MAX: usize = 512;
/// One-time prekeys that a relay keeps for one locator.
pub const PREKEYS_PER_LOCATOR_MAX: usize = 100;
/// One-time prekeys that a device uploads to each home relay at a time.
pub const PREKEY_BATCH: usize = 40;
/// Senders fetch a bundle anew when theirs is older.
pub const BUNDLE_FRESH: Duration = Duration::from_secs(24 * 3600);

/// A device makes a new X-Wing key and a new fallback prekey after so long. The former ones live as long again,
/// and on until all that waited at its relays was fetched.
pub const KEY_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// A mailbox counts as drained when its relay delivered nothing for so long.
pub const DRAINED_AFTER: Duration = Duration::from_secs(600);

/// Devices in one user's list, revoked ones included.
pub const DEVICES_PER_USER_MAX: usize = 32;
/// Home relays of one device; as many again may be given up.
pub const HOME_RELAYS_MAX: usize = 8;
/// Others are told of a home relay no more that could not be reached for so long.
pub const HOME_RELAY_WAIT: Duration = Duration::from_secs(1_800);
/// A home relay that was given up is fetched from for so long after the last contact was told.
pub const RETIRED_RELAY_LIFE: Duration = Duration::from_secs(14 * 24 * 3600);
/// Bytes of a relay's invitation.
pub const RELAY_INVITATION_BYTES_MAX: usize = 64;
/// Addresses of one relay.
pub const RELAY_ADDRESSES_MAX: usize = 8;
/// Bytes of one relay address (a multiaddr in text).
pub const RELAY_ADDRESS_BYTES_MAX: usize = 256;
/// Bytes of a user's or device's name, UTF-8.
pub const NAME_BYTES_MAX: usize = 64;

/// Bytes of a text message, UTF-8.
pub const TEXT_BYTES_MAX: usize = 16 * KIB;
/// Users whom one text mentions.
pub const MENTIONS_MAX: usize = 64;
/// Bytes of a reaction, UTF-8.
pub const REACTION_BYTES_MAX: usize = 64;
/// Annotations of one entry that count, of each device one of a kind.
pub const ANNOTATIONS_MAX: usize = 4_096;
/// Entries that one record hides.
pub const HIDDEN_MAX: usize = 64;
/// Bundles, and mailboxes, in one account record.
pub const ACCOUNT_ADDRESSES_MAX: usize = 32;
/// Entries in one pairwise message, and their bytes: it fits an envelope with all that goes around it.
pub const ENTRIES_MAX: usize = 64;
/// See [`ENTRIES_MAX`].
pub const ENTRIES_BYTES_MAX: usize = 48 * KIB;
/// Heads that an entry names.
pub const ENTRY_HEADS_MAX: usize = 16;
/// Membership heads that an entry names.
pub const MEMBERSHIP_HEADS_MAX: usize = 32;
/// Bytes of an entry's header or body.
pub const ENTRY_PART_BYTES_MAX: usize = 32 * KIB;
/// The latest time that an entry may claim, in milliseconds since the Unix epoch (in the year 10889): room
/// above it keeps every entry's effective time later than that of its parents.
pub const CLAIMED_MS_MAX: u64 = 1 << 48;
/// How far a claimed time may lead its parents.
pub const CLAIMED_LEAD_MAX: Duration = Duration::from_secs(24 * 3600);
/// Ranges beyond the gap-free part of a frontier.
pub const FRONTIER_RANGES_MAX: usize = 32;
/// Entries that nobody supplied on so many days are lost.
pub const LOST_AFTER_DAYS: u32 = 30;
/// Gaps, lost ones included, that are recorded of one device in one conversation.
pub const GAPS_PER_DEVICE_MAX: usize = 256;
/// Devices in one frontier.
pub const FRONTIER_DEVICES_MAX: usize = 4_096;
/// Bytes of both frontiers of one acknowledgement: it fits an envelope with all that goes around it.
pub const ACKNOWLEDGED_BYTES_MAX: usize = 48 * KIB;

/// Bytes of one operation on a group's membership.
pub const OPERATION_BYTES_MAX: usize = 8 * KIB;
/// Operations that an operation follows directly.
pub const OPERATION_PARENTS_MAX: usize = 8;
/// Operations of one device in the past of any operation of a group; their numbers are below it.
pub const OPERATIONS_PER_DEVICE_MAX: usize = 4_096;
/// Operations of one supplier that wait for what they stand on.
pub const WAITING_OPERATIONS_MAX: usize = 1_024;
/// Bytes of the operations of one supplier that wait.
pub const WAITING_BYTES_MAX: usize = 512 * KIB;
/// Suppliers of operations that wait.
pub const WAITING_SUPPLIERS_MAX: usize = 64;
/// Operations of one supplier that are held although their devices forked and nothing holds by them.
pub const ASIDE_OPERATIONS_MAX: usize = 8_192;
/// Suppliers of such operations.
pub const ASIDE_SUPPLIERS_MAX: usize = 4;
/// Members of a group, unless its Create says less. Concurrent additions may exceed it.
pub const GROUP_MEMBERS_MAX: usize = 1_024;
/// Groups of one user, those that they left included.
pub const GROUPS_MAX: usize = 1_024;
/// Hashes of operations that an update of a group names.
pub const UPDATE_HEADS_MAX: usize = 128;
/// Proofs of forks in one update.
pub const UPDATE_FORKS_MAX: usize = 16;
/// Members whom the sender of an update wants to reach.
pub const UPDATE_WANTS_MAX: usize = 64;
/// Bytes of operations and people in one update of a group: it fits an envelope with all that goes around it.
pub const UPDATE_BYTES_MAX: usize = 40 * KIB;
/// Where bundles of a user's devices lie, and their mailboxes, each, in an update of a group.
pub const PERSON_ADDRESSES_MAX: usize = 64;
/// All that is said of one user in an update of a group, encoded: it goes into an envelope.
pub const PERSON_BYTES_MAX: usize = 39 * KIB;
/// How long a token lives that a member hands on to somebody whom they added: by then these have their own.
pub const DELEGATED_TOKEN_LIFE: Duration = Duration::from_secs(14 * 24 * 3600);
/// A member who was removed may still deliver for so long: what they did before they knew.
pub const REMOVED_TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
/// A group's sender starts a new sender key after this many messages.
pub const GROUP_ROTATION_MESSAGES: u64 = 100;
/// A group's sender starts a new sender key when the present one is so old.
pub const GROUP_ROTATION_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Up to so much earlier, at random for each key, so that not all members renew theirs at once.
pub const GROUP_ROTATION_JITTER: Duration = Duration::from_secs(2 * 24 * 3600);
/// A group with more members is large: acknowledgements are made less often.
pub const LARGE_GROUP_MEMBERS: usize = 32;
/// In a large group a device acknowledges no more often than this.
pub const LARGE_GROUP_ACKNOWLEDGES: Duration = Duration::from_secs(3);
/// What an author deleted is dropped from the stores so long after: till then the deletion may be found not to count.
pub const DELETED_BODY_LIFE: Duration = Duration::from_secs(24 * 3600);
/// The longest timer that a node lets its user set, after which messages vanish.
pub const TIMER_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// Bytes of a group's description, UTF-8.
pub const GROUP_DESCRIPTION_BYTES_MAX: usize = 2_048;
/// Bytes that say where a group's picture lies and what opens it.
pub const GROUP_PICTURE_BYTES_MAX: usize = 512;
/// Views at earlier heads that a resolver remembers.
pub const REMEMBERED_VIEWS_MAX: usize = 64;

/// Envelopes in one pairwise channel that may be unacknowledged before a new channel is opened.
pub const CHANNEL_UNACKNOWLEDGED_MAX: u64 = 32;
/// A pairwise channel is used for at most this long.
pub const CHANNEL_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Inbound channels that are kept for one peer device.
pub const CHANNELS_PER_PEER_MAX: usize = 8;
/// Messages in one sender-key session.
pub const SENDER_KEY_MESSAGES_MAX: u64 = 128;
/// A direct chat starts a new sender key after this many messages without a turn.
pub const DIRECT_ROTATION_MESSAGES: u64 = 20;
/// A direct chat starts a new sender key when the present one is so old.
pub const DIRECT_ROTATION_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// What was sealed so long ago and no relay took yet is sealed anew: the key has to live until the envelope expires.
pub const SEALED_LIFE: Duration = Duration::from_secs(2 * 24 * 3600);
/// A receiving sender key is dropped so long after it came; so long the hash of a payload is remembered.
pub const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// Olm sessions that are kept for one peer device.
pub const OLM_SESSIONS_PER_PEER_MAX: usize = 5;
/// Payloads that can't be opened yet (their key has not come), kept by a node.
pub const QUARANTINE_ITEMS_MAX: usize = 1_024;
/// Contact requests that wait for the user.
pub const REQUESTS_MAX: usize = 256;
/// Contact requests beyond these that are kept sealed until there is room, among the payloads that can't be opened yet.
pub const REQUESTS_KEPT_MAX: usize = 256;
/// Introductions of members of groups who are not known to be such, that are kept sealed until they are.
pub const INTRODUCTIONS_KEPT_MAX: usize = 256;
/// Hashes of handled payloads that a node remembers: several times what its relays may hold for it.
pub const SEEN_ITEMS_MAX: usize = 65_536;
/// Receiving sender keys that are kept of one peer device.
pub const RECEIVER_KEYS_PER_DEVICE_MAX: usize = 512;
/// Outgoing items that a node keeps.
pub const OUTBOX_ITEMS_MAX: usize = 100_000;
/// Messages that go again to one device in an hour, beyond which as many as it acknowledges meanwhile.
pub const RESENT_MESSAGES_PER_HOUR_MAX: u32 = 256;

/// Credit of class 0 (messages, keys, membership): messages, bytes.
pub const CREDIT_CLASS_0: (u64, u64) = (256, 1024 * 1024);
/// Credit of class 1 (acknowledgements): messages, bytes.
pub const CREDIT_CLASS_1: (u64, u64) = (128, 128 * 1024);
/// A client sends a heartbeat when it was silent for this long.
pub const HEARTBEAT: Duration = Duration::from_secs(25);
/// A connection is dead when nothing came for this long.
pub const SILENCE_MAX: Duration = Duration::from_secs(75);
/// An unanswered request is given up, and its connection with it, after this long.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);
