use bytes::Bytes;

use crate::codec::Malformed;
use crate::ids::{Handle, Secret};
use crate::limits::TOKEN_STEPS_MAX;
use crate::time::Timestamp;
use crate::wire;

/// The right to put envelopes into the mailbox.
pub const DELIVER: u8 = 1;
/// The right to watch the owner's presence.
pub const PRESENCE: u8 = 2;
/// Class 0: messages, keys, membership.
pub const CLASS_0: u8 = 1;
/// Class 1: acknowledgements.
pub const CLASS_1: u8 = 2;
/// Class 2: presence, typing.
pub const CLASS_2: u8 = 4;

/// One step of a token; each narrows what those before it allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The step's random name.
    pub handle: Handle,
    /// Bits of [`DELIVER`] and [`PRESENCE`].
    pub rights: u8,
    /// Bits of [`CLASS_0`], [`CLASS_1`], [`CLASS_2`].
    pub classes: u8,
    /// Refused after this; `None`: no end.
    pub not_after: Option<Timestamp>,
    /// Publishes a minute; 0: the relay's own limit.
    pub per_minute: u32,
}

impl Step {
    /// A step that narrows nothing but has a name.
    pub const fn named(handle: Handle) -> Self {
        Self {
            handle,
            rights: DELIVER | PRESENCE,
            classes: CLASS_0 | CLASS_1 | CLASS_2,
            not_after: None,
            per_minute: 0,
        }
    }

    /// The 22 bytes that are hashed: handle, rights, classes, then big-endian not-after and rate.
    pub fn to_hashed(&self) -> [u8; 22] {
        let mut out = [0; 22];
        let fields = self
            .handle
            .as_bytes()
            .iter()
            .copied()
            .chain([self.rights, self.classes])
            .chain(self.not_after.map_or(0, Timestamp::as_ms).to_be_bytes())
            .chain(self.per_minute.to_be_bytes());
        for (to, from) in out.iter_mut().zip(fields) {
            *to = from;
        }
        out
    }

    /// Checks the form.
    pub fn from_wire(step: &wire::TokenStep) -> Result<Self, Malformed> {
        let byte = |field: &str, value: u32| {
            u8::try_from(value).map_err(|_| Malformed::new("token step", format!("{field} is above 255")))
        };
        Ok(Self {
            handle: Handle::from_slice(&step.handle)?,
            rights: byte("rights", step.rights)?,
            classes: byte("classes", step.classes)?,
            not_after: (step.not_after_ms != 0).then(|| Timestamp::from_ms(step.not_after_ms)),
            per_minute: step.per_minute,
        })
    }

    /// For the wire.
    pub fn to_wire(&self) -> wire::TokenStep {
        wire::TokenStep {
            handle: Bytes::copy_from_slice(self.handle.as_bytes()),
            rights: u32::from(self.rights),
            classes: u32::from(self.classes),
            not_after_ms: self.not_after.map_or(0, Timestamp::as_ms),
            per_minute: self.per_minute,
        }
    }
}

/// Between 1 and [`TOKEN_STEPS_MAX`] steps.
pub(super) fn path_from_wire(path: &[wire::TokenStep]) -> Result<Vec<Step>, Malformed> {
    if path.is_empty() || path.len() > TOKEN_STEPS_MAX {
        return Err(Malformed::new(
            "token",
            format!("{} steps, 1 to {TOKEN_STEPS_MAX} are allowed", path.len()),
        ));
    }
    path.iter().map(Step::from_wire).collect()
}

/// `k_i` from `k_{i-1}`.
pub(super) fn next_key(key: &Secret, step: &Step) -> Secret {
    Secret::new(*blake3::keyed_hash(key.expose(), &step.to_hashed()).as_bytes())
}
