//! Who is who: identities, devices and their lists, bundles, invitations, first contact.
//!
//! `spec/identity.md`. Every type here that comes from outside is built by a `verify` that checks form and
//! signature; a value of the type is proof of both.

mod address;
mod bundle;
mod certificate;
mod conversation;
mod device_list;
mod error;
mod identity;
mod introduction;
mod invitation;
mod name;

pub use address::{BundleAccess, DeliveryGrant, MailboxAddress, RelayAddress};
pub use bundle::{Bundle, BundleFields, Prekey, SealedBlob, open_blob, seal_blob};
pub use certificate::Certificate;
pub use conversation::direct_conversation;
pub use device_list::{DeviceList, ListVerdict, ListedDevice};
pub use error::KeysError;
pub use identity::{DeviceKey, IdentityKey, RecoveryPhrase, RecoveryPhraseError};
pub use introduction::{Introduction, IntroductionFields, IntroductionKind};
pub use invitation::{Invitation, InvitationRelay, LinkError};
pub use name::Name;

#[cfg(test)]
mod tests;
