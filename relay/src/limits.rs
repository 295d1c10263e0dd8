//! Every limit of a relay that its operator may set, with its unit in its name. What the protocol
//! fixes stands in `undertone_protocol::limits`.

use serde::{Deserialize, Serialize};
use undertone_protocol::limits as protocol;

/// Who may open a mailbox at this relay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Anybody.
    #[default]
    Open,
    /// Whoever has an invitation of the operator's.
    Invite,
    /// Nobody new; whoever has a mailbox keeps it.
    Closed,
}

/// The limits of one relay. A missing field takes its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Live connections.
    pub connections_max: usize,
    /// Frames that one connection may send in a minute, and at once; beyond it the connection is closed.
    pub frames_per_minute: u32,
    /// Publishes that one connection may send in a minute, and at once.
    pub publishes_per_minute: u32,
    /// Other requests (registrations, attaches, checkpoints, bundles, tokens) that one connection may send in a minute.
    pub requests_per_minute: u32,
    /// Times that one mailbox may be attached in a minute, and at once, by whatever connections.
    pub attaches_per_minute: u32,
    /// Bundles that one connection may fetch in a minute, and at once.
    pub bundle_fetches_per_minute: u32,
    /// New mailboxes that the whole relay takes in a minute, and at once.
    pub registrations_per_minute: u32,
    /// Payloads that one token (each prefix of its path) may put into one mailbox in a minute, and at once, unless a
    /// step asks for less.
    pub token_publishes_per_minute: u32,
    /// Rate limiters held in memory for the tokens of one mailbox.
    pub token_rates_per_mailbox_max: usize,
    /// Rate limiters held in memory for all tokens.
    pub token_rates_max: usize,

    /// Mailboxes at this relay.
    pub mailboxes_max: u64,
    /// Mailboxes of one device.
    pub mailboxes_per_device_max: u32,
    /// Payloads queued in one mailbox, class 0.
    pub mailbox_class_0_messages_max: u64,
    /// Bytes of payloads queued in one mailbox, class 0.
    pub mailbox_class_0_bytes_max: u64,
    /// Payloads that one mailbox knows, class 0: queued, or acknowledged and remembered for a day so that a repeat is
    /// told so. Beyond it the mailbox is full.
    pub mailbox_class_0_known_messages_max: u64,
    /// Payloads queued in one mailbox, class 1.
    pub mailbox_class_1_messages_max: u64,
    /// Bytes of payloads queued in one mailbox, class 1.
    pub mailbox_class_1_bytes_max: u64,
    /// Payloads that one mailbox knows, class 1: like class 0.
    pub mailbox_class_1_known_messages_max: u64,
    /// The longest that an envelope is held, in milliseconds; the protocol's maximum caps it.
    pub envelope_ttl_ms_max: u64,
    /// The largest payload, in bytes; the protocol's maximum caps it.
    pub payload_bytes_max: usize,
    /// Bytes that the store may hold: payloads, bundles, prekeys, and a fixed sum for whatever else is stored for
    /// somebody. The files are larger by what the backend needs for itself.
    pub disk_bytes_max: u64,
    /// Class 1 is put off when this share of `disk_bytes_max` is used, in percent.
    pub disk_class_1_percent: u8,
    /// What a sender is told to wait when a mailbox or the disk is full, in milliseconds.
    pub full_retry_after_ms: u64,
    /// Expired things that one tick removes, in store entries.
    pub sweep_entries_per_tick: usize,
    /// The time between two sweeps, in milliseconds.
    pub sweep_interval_ms: u64,

    /// Class 0 payloads sent to one connection and not acknowledged, whatever its credit.
    pub unacknowledged_class_0_messages_max: u64,
    /// Bytes of class 0 payloads sent to one connection and not acknowledged, whatever its credit.
    pub unacknowledged_class_0_bytes_max: u64,
    /// Class 1 payloads sent to one connection and not acknowledged, whatever its credit.
    pub unacknowledged_class_1_messages_max: u64,
    /// Bytes of class 1 payloads sent to one connection and not acknowledged, whatever its credit.
    pub unacknowledged_class_1_bytes_max: u64,
    /// Class 2 is dropped for a connection with more bytes than this waiting in its socket.
    pub volatile_backlog_bytes_max: u64,
    /// A connection with more bytes than this waiting in its socket is closed.
    pub backlog_bytes_max: u64,
    /// Bytes that may wait in all sockets together; beyond it the connection with the most is closed.
    pub backlog_total_bytes_max: u64,
    /// A connection from which nothing came for this long is closed, in milliseconds.
    pub silence_ms_max: u64,

    /// Bundles of one device.
    pub bundles_per_device_max: u32,
    /// A bundle that its device has not written for this long is removed, in days.
    pub bundle_unseen_days_max: u32,

    /// Forwards that one connection may hand in in a minute, and at once; and times that it may say which answers it has.
    pub forwards_per_minute: u32,
    /// Forwards of one device that wait, together with answers that it has not taken.
    pub forwards_per_device_max: u32,
    /// Other relays that something waits for.
    pub destinations_max: usize,
    /// Other relays that something waits for since this device handed in the first of it.
    pub destinations_per_device_max: u32,
    /// Connections to other relays at one time.
    pub destination_links_max: usize,
    /// Forwards that wait for one other relay.
    pub destination_forwards_max: u64,
    /// Bytes of the parcels that wait for one other relay.
    pub destination_bytes_max: u64,
    /// A forward that could not be delivered for this long is given up, in milliseconds; the protocol's maximum caps it.
    pub forward_age_ms_max: u64,
    /// What comes for another relay waits for a random time up to this, in milliseconds, and leaves together: whoever watches both
    /// sides of this relay can tell less by the time. 0: it leaves at once.
    pub forward_delay_ms_max: u64,
    /// Times that a forward is carried without an answer until it is given up.
    pub forward_attempts_max: u32,
    /// What came of a forward is kept for its device for this long, in milliseconds.
    pub answer_kept_ms_max: u64,
    /// Parcels that one other relay may bring in a minute, and at once.
    pub source_parcels_per_minute: u32,
    /// Bytes of parcels that one other relay may bring in a minute, and at once.
    pub source_bytes_per_minute: u32,
    /// Other relays whose rates are held in memory.
    pub sources_max: usize,
    /// The time between two heartbeats to another relay, in milliseconds; a random part of up to as much again is added.
    pub heartbeat_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 18_000,
            frames_per_minute: 600_000,
            publishes_per_minute: 6_000,
            requests_per_minute: 600,
            attaches_per_minute: 120,
            bundle_fetches_per_minute: 300,
            registrations_per_minute: 600,
            token_publishes_per_minute: 1_200,
            token_rates_per_mailbox_max: 4_096,
            token_rates_max: 500_000,
            mailboxes_max: 1_000_000,
            mailboxes_per_device_max: 8,
            mailbox_class_0_messages_max: 10_000,
            mailbox_class_0_bytes_max: 64 * MIB,
            mailbox_class_0_known_messages_max: 200_000,
            mailbox_class_1_messages_max: 5_000,
            mailbox_class_1_bytes_max: 8 * MIB,
            mailbox_class_1_known_messages_max: 100_000,
            envelope_ttl_ms_max: 21 * DAY_MS,
            payload_bytes_max: protocol::PAYLOAD_BYTES_MAX,
            disk_bytes_max: 10 * 1024 * MIB,
            disk_class_1_percent: 90,
            full_retry_after_ms: 60_000,
            sweep_entries_per_tick: 1_000,
            sweep_interval_ms: 1_000,
            unacknowledged_class_0_messages_max: 1_024,
            unacknowledged_class_0_bytes_max: 2 * MIB,
            unacknowledged_class_1_messages_max: 512,
            unacknowledged_class_1_bytes_max: MIB / 2,
            volatile_backlog_bytes_max: 64 * 1024,
            backlog_bytes_max: 8 * MIB,
            backlog_total_bytes_max: 1024 * MIB,
            silence_ms_max: 75_000,
            bundles_per_device_max: 4,
            bundle_unseen_days_max: 180,
            forwards_per_minute: 6_000,
            forwards_per_device_max: 1_000,
            destinations_max: 4_096,
            destinations_per_device_max: 128,
            destination_links_max: 64,
            destination_forwards_max: 100_000,
            destination_bytes_max: 256 * MIB,
            forward_age_ms_max: 3 * DAY_MS,
            forward_delay_ms_max: 0,
            forward_attempts_max: 50,
            answer_kept_ms_max: 7 * DAY_MS,
            source_parcels_per_minute: 60_000,
            source_bytes_per_minute: 512 * 1024 * 1024,
            sources_max: 4_096,
            heartbeat_ms: 300_000,
        }
    }
}

/// Milliseconds in a day.
pub(crate) const DAY_MS: u64 = 24 * 3600 * 1000;
const MIB: u64 = 1024 * 1024;
