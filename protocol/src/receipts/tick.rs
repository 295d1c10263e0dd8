/// How far a message of one's own has come; ticks never go back. *Failed* is a flag beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tick {
    /// In the outbox.
    Queued,
    /// A home relay holds it, for the recipient's relay.
    Waiting,
    /// In custody for every device of every recipient that was active at sending.
    Sent,
    /// Some device of the recipient acknowledged it.
    Delivered,
    /// The recipient read it.
    Read,
}

impl Tick {
    /// The word that users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}
