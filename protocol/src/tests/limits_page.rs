//! `spec/limits.md` has every constant of `limits`, with its value.

use std::time::Duration;

use crate::limits::*;

const PAGE: &str = include_str!("../../spec/limits.md");
const SOURCE: &str = include_str!("../limits.rs");

/// A constant as the page writes it.
trait Shown {
    fn shown(self) -> String;
}

impl Shown for u64 {
    fn shown(self) -> String {
        let digits = self.to_string();
        let groups = digits.as_bytes().rchunks(3).rev();
        groups.map(|group| String::from_utf8_lossy(group).into_owned()).collect::<Vec<_>>().join(",")
    }
}

impl Shown for u32 {
    fn shown(self) -> String {
        u64::from(self).shown()
    }
}

impl Shown for u8 {
    fn shown(self) -> String {
        u64::from(self).shown()
    }
}

impl Shown for usize {
    fn shown(self) -> String {
        u64::try_from(self).unwrap().shown()
    }
}

impl Shown for Duration {
    fn shown(self) -> String {
        assert_eq!(self.subsec_millis(), 0);
        self.as_secs().shown()
    }
}

impl Shown for (u64, u64) {
    fn shown(self) -> String {
        format!("{}; {}", self.0.shown(), self.1.shown())
    }
}

macro_rules! shown {
    ($($name:ident)*) => { [$((stringify!($name), $name.shown())),*] };
}

#[test]
fn the_page_has_every_constant() {
    let constants = shown![
        PROTOCOL_VERSION SUITE PAYLOAD_BYTES_MAX FRAME_BYTES_MAX WEBSOCKET_MESSAGE_BYTES_MAX PUBLISH_ITEMS_MAX PUBLISH_RECIPIENTS_MAX
        PUBLISH_PAYLOAD_BYTES_MAX PARCEL_BYTES_MAX FORWARD_ADDRESSES_MAX FORWARD_AGE_MAX CARRY_PARCELS_MAX FORWARDS_TAKEN_MAX ROUTING_KEY_LIFE
        RELAY_RECORD_BYTES_MAX RELAY_RECORD_LIFE RELAY_RECORD_RENEWED RELAY_RECORD_AHEAD_MAX
        ROUTING_KEY_ROTATED CIRCUIT_AGE_MAX CIRCUIT_FORWARDS_MAX PUBLISHES_IN_FLIGHT_MAX ACK_RANGES_MAX ENVELOPE_TTL_MAX DEDUP_AFTER_DELETION
        EXPIRY_GRACE TOKEN_STEPS_MAX REVOKED_PREFIXES_MAX INTRODUCTIONS_MAX INVITATION_USES_MAX
        INVITATION_LIFE_DEFAULT INVITATION_RELAYS_MAX CHECKPOINT_BYTES_MAX BUNDLE_BYTES_MAX PREKEY_BYTES_MAX PREKEYS_PER_LOCATOR_MAX
        PREKEY_BATCH BUNDLE_FRESH KEY_LIFE DRAINED_AFTER DEVICES_PER_USER_MAX HOME_RELAYS_MAX RELAY_INVITATION_BYTES_MAX RELAY_ADDRESSES_MAX
        RELAY_ADDRESS_BYTES_MAX NAME_BYTES_MAX TEXT_BYTES_MAX ACCOUNT_ADDRESSES_MAX ENTRIES_MAX ENTRIES_BYTES_MAX
        ENTRY_HEADS_MAX MEMBERSHIP_HEADS_MAX ENTRY_PART_BYTES_MAX CLAIMED_MS_MAX CLAIMED_LEAD_MAX
        FRONTIER_RANGES_MAX FRONTIER_DEVICES_MAX ACKNOWLEDGED_BYTES_MAX CHANNEL_UNACKNOWLEDGED_MAX CHANNEL_LIFE_MAX CHANNELS_PER_PEER_MAX
        SENDER_KEY_MESSAGES_MAX DIRECT_ROTATION_MESSAGES OLM_SESSIONS_PER_PEER_MAX QUARANTINE_ITEMS_MAX REQUESTS_MAX
        REQUESTS_KEPT_MAX SEEN_ITEMS_MAX RECEIVER_KEYS_PER_DEVICE_MAX RESENT_MESSAGES_PER_HOUR_MAX
        OUTBOX_ITEMS_MAX CREDIT_CLASS_0 CREDIT_CLASS_1 HEARTBEAT SILENCE_MAX ANSWER_WAIT_MAX
        OPERATION_BYTES_MAX OPERATION_PARENTS_MAX OPERATIONS_PER_DEVICE_MAX WAITING_OPERATIONS_MAX
        WAITING_SUPPLIERS_MAX ASIDE_OPERATIONS_MAX ASIDE_SUPPLIERS_MAX GROUP_MEMBERS_MAX GROUP_DESCRIPTION_BYTES_MAX GROUP_PICTURE_BYTES_MAX
        REMEMBERED_VIEWS_MAX LOST_AFTER_DAYS GAPS_PER_DEVICE_MAX DIRECT_ROTATION_AGE SEALED_LIFE RETENTION
        WAITING_BYTES_MAX MENTIONS_MAX REACTION_BYTES_MAX ANNOTATIONS_MAX HIDDEN_MAX
        GROUPS_MAX UPDATE_HEADS_MAX UPDATE_FORKS_MAX UPDATE_WANTS_MAX UPDATE_BYTES_MAX DELEGATED_TOKEN_LIFE REMOVED_TOKEN_LIFE
        GROUP_ROTATION_MESSAGES GROUP_ROTATION_AGE GROUP_ROTATION_JITTER PERSON_ADDRESSES_MAX PERSON_BYTES_MAX
        INTRODUCTIONS_KEPT_MAX TIMER_MAX DELETED_BODY_LIFE LARGE_GROUP_MEMBERS LARGE_GROUP_ACKNOWLEDGES
        RETIRED_RELAY_LIFE CUSTODIAN_WAIT FALL_OVER_WAIT HOME_RELAY_WAIT
    ];
    assert_eq!(constants.len(), SOURCE.matches("\npub const ").count());
    for (name, value) in constants {
        assert!(PAGE.contains(&format!("| `{name}` | {value} |")), "{name} is {value}");
    }
}

/// The relay's own limits by name; their values are the operator's.
#[test]
fn the_page_has_every_limit_of_a_relay() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../relay/src/limits.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let fields = source.lines().filter_map(|line| line.strip_prefix("    pub ")?.split_once(':'));
    let names: Vec<_> = fields.map(|(name, _)| name).collect();
    assert_eq!(names.len(), 50);
    for name in names {
        assert!(PAGE.contains(&format!("| `{name}` |")), "{name}");
    }
}
