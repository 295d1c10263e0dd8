//! What is stored of a mailbox.

use bytes::Bytes;
use prost::Message;
use undertone_protocol::ids::{DeviceId, MailboxId};
use undertone_protocol::wire::RefusalCode;

use crate::answer::{Failed, Refused};
use crate::store::owner::Owner;
use crate::store::table::{Key, Table};
use crate::store::{Overlay, Store, StoreError};

/// A mailbox's registration.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Mailbox {
    /// [`Owner`]'s bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) owner: Bytes,
    /// K.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) secret: Bytes,
    /// The epoch of K.
    #[prost(uint32, tag = "3")]
    pub(crate) epoch: u32,
    /// Random; another one means that sequences start anew.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) generation: Bytes,
    /// Revoked prefixes of this epoch.
    #[prost(uint32, tag = "5")]
    pub(crate) revoked: u32,
    /// Introductions of this epoch.
    #[prost(uint32, tag = "6")]
    pub(crate) introductions: u32,
}

fn key(mailbox: &MailboxId) -> Key {
    Table::Mailbox.key().part(mailbox.as_bytes())
}

pub(super) fn read<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    mailbox: &MailboxId,
) -> Result<Option<Mailbox>, StoreError> {
    tx.read("mailbox record", &key(mailbox))
}

pub(super) fn write<S: Store + ?Sized>(tx: &mut Overlay<'_, S>, mailbox: &MailboxId, record: &Mailbox) {
    tx.write(key(mailbox), record);
}

/// The registration of a mailbox that `device` owns.
pub(crate) fn owned<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    mailbox: &MailboxId,
    device: &DeviceId,
) -> Result<Mailbox, Failed> {
    let record = read(tx, mailbox)?.ok_or_else(|| Refused::new(RefusalCode::Unknown, "no such mailbox"))?;
    if !Owner::of(device).is(&record.owner) {
        return Err(not_owner().into());
    }
    Ok(record)
}

pub(super) fn not_owner() -> Refused {
    Refused::new(RefusalCode::NotOwner, "the mailbox belongs to another device")
}
