use undertone::store::StoreError;

/// What looks at a world; the numbers are the invariants of the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// All comes to rest, and everything that was said is on every device (1).
    Rest,
    /// What a user was told is kept, is (1, 6).
    Kept,
    /// Nothing failed, is lost, or stays unopened for good (1).
    Settled,
    /// All that comes can be read, unless something was broken (1).
    Readable,
    /// What devices show is what the reference model makes of the same entries (2).
    Reference,
    /// The devices of one user show the same of somebody who cheats (2).
    Converged,
    /// All who are in a group hold the same operations, and show what the rules make of them (2).
    Membership,
    /// Nobody holds what was written to a group in which they were not (3).
    Entitled,
    /// Nothing is sealed under a key that a revoked device holds, once that is known (3).
    Members,
    /// A sender key does not outlive a turn (3).
    Turns,
    /// No key is used twice with one number (3).
    SealedOnce,
    /// No tick goes back (4).
    Ticks,
    /// No tick shows that is not so (4).
    TrueTicks,
    /// What all have read shows as read on each device of its author's user (4).
    ReadTicks,
    /// What a device believes to be in custody, its relay signed for (4).
    Vouched,
    /// Nothing shows twice (5).
    Once,
    /// What is in custody is at the relay, or where it belongs (6).
    Custody,
    /// The machines go on, and their stores take what they give (6).
    Machines,
    /// Nothing panics (7).
    Panic,
    /// Nothing runs in circles (7).
    Circles,
    /// No table grows beyond its limit (7).
    Bounded,
    /// The relay's disk holds neither texts nor identities (8).
    Blind,
    /// What is over by a device's clock says nothing there any more (9).
    Vanished,
    /// Nothing shows that nobody wrote, or to whom it was not written.
    Truth,
    /// Of somebody who is blocked nothing is told, and nothing goes to them.
    Blocked,
    /// Nobody has contacts that they never met.
    Strangers,
}

/// What did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    check: Check,
    what: String,
    /// What happened last, where it was written down.
    pub(super) trace: Vec<String>,
}

impl Failed {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self::by(Check::Machines, what)
    }

    pub(super) fn by(check: Check, what: impl Into<String>) -> Self {
        Self { check, what: what.into(), trace: Vec::new() }
    }

    pub(super) fn with(self, more: String) -> Self {
        Self { what: format!("{}\n{more}", self.what), ..self }
    }

    pub(super) fn traced(self, trace: Vec<String>) -> Self {
        Self { trace, ..self }
    }

    /// Which check found it.
    pub const fn check(&self) -> Check {
        self.check
    }

    /// What it found, in one line.
    pub fn headline(&self) -> &str {
        self.what.lines().next().unwrap_or_default()
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.check, self.what)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string())
    }
}
