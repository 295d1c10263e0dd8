use prost::Message;

use super::error::KeysError;
use super::identity::IdentityKey;
use crate::codec::{Label, Malformed, Signed, decode, sign, version_and_suite};
use crate::ids::{ConversationId, DeviceId, DeviceListHash, EntryId, OperationHash, UserId};
use crate::limits::{PROTOCOL_VERSION, SUITE};
use crate::wire;

const DEVICE_REVOKE_BYTES_MAX: usize = 512;

/// The identity key's word on where a revoked device's part of a conversation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRevoke {
    /// What it says.
    pub fields: DeviceRevokeFields,
    /// In a group: the device's last operation on the membership that counts; `None`: none does.
    pub operation_head: Option<OperationHash>,
    /// The exact bytes.
    pub signed: Signed,
}

/// What a revocation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRevokeFields {
    /// Whose device it is.
    pub user: UserId,
    /// The list that revokes it.
    pub list: DeviceListHash,
    /// The device.
    pub device: DeviceId,
    /// Where.
    pub conversation: ConversationId,
    /// Its last entry that counts, by number and id; `None`: none does.
    pub cut: Option<(u64, EntryId)>,
}

impl DeviceRevoke {
    /// Signs a revocation. The user in `fields` is the identity's.
    pub fn issue(identity: &IdentityKey, fields: DeviceRevokeFields) -> Self {
        Self::issue_in_group(identity, fields, None)
    }

    /// Signs a revocation in a group, which also says which of the device's operations count.
    pub fn issue_in_group(
        identity: &IdentityKey,
        fields: DeviceRevokeFields,
        operation_head: Option<OperationHash>,
    ) -> Self {
        let body = wire::DeviceRevoke {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            user: fields.user.to_wire(),
            device_list: fields.list.to_wire(),
            device: fields.device.to_wire(),
            conversation: fields.conversation.to_wire(),
            through: fields.cut.map_or(0, |(seq, _)| seq),
            head: fields.cut.map(|(_, head)| head.to_wire()).unwrap_or_default(),
            operation_head: operation_head.map(|head| head.to_wire()).unwrap_or_default(),
        };
        let signed = sign(Label::DeviceRevoke, identity.signing_key(), body.encode_to_vec());
        Self { fields, operation_head, signed }
    }

    /// Checks form and signature. Whether user and conversation are the ones expected is the caller's question.
    pub fn verify(signed: Signed) -> Result<Self, KeysError> {
        let body: wire::DeviceRevoke = decode("device revoke", &signed.body, DEVICE_REVOKE_BYTES_MAX)?;
        version_and_suite("device revoke", body.version, body.suite)?;
        let user = UserId::from_slice(&body.user)?;
        signed.verify(Label::DeviceRevoke, user.as_bytes())?;
        if (body.through == 0) != body.head.is_empty() {
            let why = "head must be there for every cut but at 0";
            return Err(Malformed::new("device revoke", why).into());
        }
        let head = (!body.head.is_empty()).then(|| EntryId::from_slice(&body.head)).transpose()?;
        let operation = &body.operation_head;
        let operation_head =
            (!operation.is_empty()).then(|| OperationHash::from_slice(operation)).transpose()?;
        let fields = DeviceRevokeFields {
            user,
            list: DeviceListHash::from_slice(&body.device_list)?,
            device: DeviceId::from_slice(&body.device)?,
            conversation: ConversationId::from_slice(&body.conversation)?,
            cut: head.map(|head| (body.through, head)),
        };
        Ok(Self { fields, operation_head, signed })
    }
}
