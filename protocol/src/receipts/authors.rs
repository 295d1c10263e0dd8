use crate::codec::Malformed;
use crate::ids::DeviceId;
use crate::log::Frontier;

/// Of the entries of which devices an acknowledgement speaks: of those with ids in a range. What it does not say of them
/// is not so; of others it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Authors {
    /// Of those above this one; `None`: from the lowest id on.
    pub after: Option<DeviceId>,
    /// Up to this one; `None`: up to the highest id.
    pub through: Option<DeviceId>,
}

impl Authors {
    /// Whether it speaks of all devices.
    pub fn are_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it speaks of this device.
    pub fn contain(&self, device: &DeviceId) -> bool {
        self.after.is_none_or(|after| *device > after)
            && self.through.is_none_or(|through| *device <= through)
    }

    /// What a frontier says of these devices.
    pub(super) fn of(&self, frontier: &Frontier) -> Frontier {
        let mut of_these = Frontier::default();
        for (device, item) in frontier.items().filter(|(device, _)| self.contain(device)) {
            of_these.set(*device, item.clone());
        }
        of_these
    }

    /// Checks the form, and that the frontiers say nothing of others.
    pub(super) fn checked(self, frontiers: [&Frontier; 2]) -> Result<Self, Malformed> {
        let bad = |why: &str| Err(Malformed::new("acknowledgement", why));
        if self.through.is_some_and(|through| self.after.is_some_and(|after| after >= through)) {
            return bad("it speaks of no device");
        }
        if frontiers.iter().any(|frontier| frontier.items().any(|(device, _)| !self.contain(device))) {
            return bad("it names a device of which it does not speak");
        }
        Ok(self)
    }
}
