//! What the relay counts. The shell exposes it; nothing in it names a user.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters since the machine started; each only grows.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Metrics {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Metrics {
            /// Every counter by name, in the order of its declaration.
            pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Connections that the relay took.
    connections_opened,
    /// Of these, the ones that ended, whoever ended them.
    connections_closed,
    /// Connections not taken because the relay had as many as it may.
    connections_shed,
    /// Connections ended because nothing came for too long.
    connections_silent,
    /// Connections ended because they broke the format or the order of frames.
    connections_malformed,
    /// Connections ended because no version of the protocol is common.
    connections_incompatible,
    /// Connections ended because they did not read, or sent frames too fast.
    connections_overloaded,
    /// Frames that came in on live connections.
    frames_in,
    /// Frames that were put out.
    frames_out,
    /// Requests answered by a refusal.
    refusals,
    /// Requests, or single recipients, put off because somebody was too fast.
    rate_limited,
    /// New mailboxes.
    registrations,
    /// Attaches that succeeded.
    attaches,
    /// Connections that a newer attach of their mailbox replaced.
    superseded,
    /// Attaches by which a device acknowledged what this store never gave it: it is an older copy.
    older_store,
    /// Publishes that were answered by a receipt.
    publishes,
    /// Recipient results: stored durably.
    results_stored,
    /// Recipient results: class 2, handed to a live session or dropped.
    results_volatile,
    /// Recipient results: duplicate.
    results_duplicate,
    /// Recipient results: full mailbox.
    results_full,
    /// Recipient results: denied.
    results_denied,
    /// Recipient results: too large.
    results_too_large,
    /// Recipient results: retry after.
    results_retry_after,
    /// Class 2 payloads dropped because nobody was attached.
    volatile_unattended,
    /// Class 2 payloads dropped because the recipient's socket was behind.
    volatile_shed,
    /// Class 1 recipients put off because the disk quota was nearly used.
    class_1_delayed,
    /// Class 0 recipients put off because the disk quota was used.
    class_0_refused,
    /// Payloads handed to a connection, class 2 included.
    deliveries,
    /// Queue entries that a device acknowledged.
    acknowledged,
    /// Queue entries that expired unacknowledged.
    expired,
    /// Bundles stored.
    bundles_stored,
    /// Bundles handed out.
    bundles_served,
    /// Bundles swept because their device was not seen for too long.
    bundles_swept,
    /// One-time prekeys handed out.
    prekeys_served,
    /// Bundles handed out without a one-time prekey, because none was left.
    prekeys_missing,
    /// Forwards taken from devices, for other relays.
    forwards_taken,
    /// Parcels carried to other relays, repeated ones included.
    forwards_carried,
    /// Forwards that the destination decided.
    forwards_answered,
    /// Forwards that were given up.
    dead_letters,
    /// Answers and dead letters forgotten because their device did not come for them.
    answers_expired,
    /// Attempts to reach another relay, or connections to one, that failed.
    destination_failures,
    /// Of these, the ones because no version of the protocol is common.
    destinations_incompatible,
    /// Heartbeats sent to other relays.
    heartbeats_sent,
    /// Of these, the ones that were answered.
    heartbeats_answered,
    /// Heartbeats that were not answered, or could not be sent.
    heartbeats_failed,
    /// Relays that were looked for.
    relays_sought,
    /// Of these, the ones that were found elsewhere than they were known to be.
    relays_found,
    /// Records in which other relays say where they are, newer than what was known.
    relay_records_taken,
    /// Such records that can't be used.
    relay_records_refused,
    /// Parcels of other relays that were decided.
    parcels_decided,
    /// Parcels of other relays that had been decided before: repeated after a lost answer, or replayed.
    parcels_repeated,
    /// Parcels of other relays that were not decided.
    parcels_declined,
}

/// How it stands with another relay.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DestinationHealth {
    /// The relay's key, the first eight hexadecimal digits.
    pub relay: String,
    /// Whether there is a connection.
    pub connected: bool,
    /// Forwards that wait for it.
    pub waiting: u64,
    /// Bytes of their parcels.
    pub waiting_bytes: u64,
    /// Failures since it last answered.
    pub failures: u32,
    /// Whether it last said that no version of the protocol is common.
    #[serde(default)]
    pub incompatible: bool,
    /// Milliseconds from the last parcel that it answered to that answer; 0: none yet.
    pub answer_ms: u64,
    /// Whether the last heartbeat was answered; absent: none ended yet, or it is not looked after.
    #[serde(default)]
    pub reachable: Option<bool>,
    /// Since when it is so, in milliseconds of Unix time.
    #[serde(default)]
    pub since_ms: Option<u64>,
    /// When it last said anything, in milliseconds of Unix time.
    #[serde(default)]
    pub heard_ms: Option<u64>,
    /// Milliseconds from the last heartbeat that it answered to that answer.
    #[serde(default)]
    pub round_trip_ms: Option<u64>,
    /// Heartbeats that failed since the last answer.
    #[serde(default)]
    pub heartbeat_failures: u32,
}

/// What is so right now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Live connections.
    pub connections: usize,
    /// Mailboxes with an attached connection.
    pub attached: usize,
    /// Rate limiters held for delivery tokens.
    pub token_rates: usize,
    /// Bytes put out and not yet taken by sockets.
    pub backlog_bytes: u64,
    /// Bytes that the store holds, as the disk quota counts them.
    pub disk_bytes: u64,
    /// What they may be.
    pub disk_bytes_max: u64,
    /// Mailboxes registered.
    pub mailboxes: u64,
    /// How many there may be.
    pub mailboxes_max: u64,
}
