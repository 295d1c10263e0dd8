use crate::codec::{BadSignature, Label, Signed};

/// Where a signed structure comes from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// Anybody: its signature proves it.
    Outside,
    /// The device's own store, into which it came proved.
    Store,
}

impl Source {
    /// Checks a signature where there is anything to prove.
    pub(super) fn check(self, signed: &Signed, label: Label, key: &[u8; 32]) -> Result<(), BadSignature> {
        match self {
            Self::Outside => signed.verify(label, key),
            Self::Store => Ok(()),
        }
    }
}
