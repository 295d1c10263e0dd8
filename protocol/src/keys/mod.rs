//! Who is who: identities, devices and their lists, bundles, invitations, first contact.
//!
//! `spec/identity.md`. Every type here that comes from outside is built by a `verify` that checks form and
//! signature; a value of the type is proof of both. What a device read back from its own store was checked when it came.

mod address;
mod bundle;
mod certificate;
mod checkpoint;
mod conversation;
mod device_code;
mod device_list;
mod device_revoke;
mod error;
mod identity;
mod introduction;
mod invitation;
mod link;
mod name;
mod source;

pub use address::{BundleAccess, DeliveryGrant, MailboxAddress, RelayAddress};
pub use bundle::{Bundle, BundleFields, Prekey, SealedBlob, open_blob, seal_blob};
pub use certificate::Certificate;
pub use checkpoint::Checkpoint;
pub use conversation::direct_conversation;
pub use device_code::DeviceCode;
pub use device_list::{DeviceList, ListVerdict, ListedDevice};
pub use device_revoke::{DeviceRevoke, DeviceRevokeFields};
pub use error::KeysError;
pub use identity::{DeviceKey, IdentityKey, RecoveryPhrase, RecoveryPhraseError};
pub use introduction::{Introduction, IntroductionFields, IntroductionKind};
pub use invitation::{Invitation, InvitationRelay, InvitedGroup};
pub use link::LinkError;
pub use name::Name;

#[cfg(test)]
mod tests;
