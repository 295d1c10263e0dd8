use undertone_protocol::ids::RelayId;

/// Which connection to a relay. There may be two: one under this device's own key, to a home relay, for all that is of its
/// mailbox there; and one under a key that is drawn for the connection alone, for all that is of others, so that the relay does
/// not learn who publishes and who asks for whose bundle (`spec/federation.md`, "The device").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    /// To which relay.
    pub relay: RelayId,
    /// Under a key that is drawn for this connection alone.
    pub hidden: bool,
}

impl LinkId {
    /// The connection under this device's own key.
    pub const fn home(relay: RelayId) -> Self {
        Self { relay, hidden: false }
    }

    /// The connection under a key of its own.
    pub const fn hidden(relay: RelayId) -> Self {
        Self { relay, hidden: true }
    }
}
