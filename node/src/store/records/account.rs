use bytes::Bytes;
use undertone_protocol::ids::{CurveKey, Generation, Handle, Locator, MailboxId, Secret};
use undertone_protocol::keys::{Certificate, DeviceList, Name, RelayAddress};
use undertone_protocol::log::SeqRange;
use undertone_protocol::time::Timestamp;

/// The account that this store belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What the user calls themselves.
    pub name: Name,
    /// Of the identity key, on the primary device only.
    pub identity_seed: Option<Secret>,
    /// Of the device key.
    pub device_seed: Secret,
    /// Of the X-Wing key.
    pub xwing_seed: Secret,
    /// The published fallback prekey.
    pub fallback_prekey: CurveKey,
    /// When these two were made.
    pub keys_made: Timestamp,
    /// The X-Wing key before; the Olm account has the fallback prekey that went with it. `None` when both are gone.
    pub superseded: Option<SupersededKey>,
    /// Opens this device's bundle.
    pub bundle_key: Secret,
    /// This device.
    pub certificate: Certificate,
    /// All the user's devices.
    pub device_list: DeviceList,
    /// The key of the code that waits to be added by another device of the user; until then identity and list
    /// are placeholders.
    pub linking: Option<Secret>,
    /// What is wrong with this store, so that nothing goes out of it any more; `None`: nothing.
    pub fault: Option<Fault>,
}

/// Why nothing may go out of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A home relay knows of more envelopes: it is an old copy.
    RolledBack,
    /// Somebody holds entries that this device signed and that are not in it: it was copied, or is an old copy.
    Copied,
}

/// An X-Wing key that another took the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupersededKey {
    /// Its seed.
    pub xwing_seed: Secret,
    /// When it was made. It was superseded when the present one was made.
    pub made: Timestamp,
}

/// A relay that this device has, or wants, a mailbox with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeRelay {
    /// Where it is.
    pub address: RelayAddress,
    /// Lower is preferred.
    pub priority: u32,
    /// This device's mailbox there.
    pub mailbox: MailboxId,
    /// The mailbox's secret, K.
    pub secret: Secret,
    /// The epoch of the secret.
    pub epoch: u32,
    /// The relay's registration that the cursors belong to; `None` before the first.
    pub generation: Option<Generation>,
    /// Where this device's bundle lies there.
    pub locator: Locator,
    /// Whether the relay confirmed the present bundle.
    pub bundle_stored: bool,
    /// The number of the newest batch of one-time prekeys that was made; 0: none.
    pub prekey_batch: u64,
    /// That batch, sealed, while the relay has not confirmed it.
    pub prekeys_unconfirmed: Vec<Bytes>,
    /// What was received and committed, for classes 0 and 1.
    pub received: [Received; 2],
    /// Whether others are told of it: one that is added later has to have a mailbox and the bundle first, and one that could
    /// not be reached for long is left out until it has them again.
    pub announced: bool,
    /// Whether the user gave it up; `None`: it stays.
    pub retired: Option<Retired>,
    /// What the relay's operator gave to open a mailbox there; empty: nothing. It is shown at each registration, as a relay
    /// may lose its store.
    pub invitation: Bytes,
    /// The last step of the tokens that contacts and members of groups have for the mailbox: another one each time that the
    /// relay forgot everything; `None`: it never did.
    pub renewed: Option<Handle>,
    /// When others are told that it lost what it held, too soon after another time; `None`: they need not be.
    pub lost_due: Option<Timestamp>,
    /// When others are told where it is, which it said too soon after another time; `None`: they need not be.
    pub moved_due: Option<Timestamp>,
}

impl HomeRelay {
    /// Whether it is there to stay.
    pub const fn stays(&self) -> bool {
        self.retired.is_none()
    }
}

/// A home relay that the user gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retired {
    /// When.
    pub since: Timestamp,
    /// When somebody was last not told of it.
    pub untold: Timestamp,
}

/// What was received of one class of a mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// Everything through this.
    pub through: u64,
    /// And these beyond it, ascending, apart.
    pub ranges: Vec<SeqRange>,
}
