use std::collections::BTreeMap;

use super::error::JsonError;
use super::input::{Input, JsonCut, JsonEntry, JsonOperation, JsonSettings};
use super::names::Names;
use crate::codec::Signed;
use crate::ids::{ConversationId, DeviceId, DeviceListHash, EntryId, Handle, OperationHash, UserId};
use crate::keys::{DeviceRevoke, DeviceRevokeFields, Name};
use crate::limits::{GROUP_MEMBERS_MAX, OPERATIONS_PER_DEVICE_MAX};
use crate::membership::action::{Action, Create, Cut, CutHeads};
use crate::membership::resolver::Placed;
use crate::membership::role::Role;
use crate::membership::settings::SettingsChange;
use crate::time::Timestamp;

/// An operation as the resolver takes it.
pub(super) struct ReadOperation {
    pub(super) id: String,
    pub(super) placed: Placed,
    pub(super) number: Option<u32>,
    /// Why it is not in the set, whatever else is.
    pub(super) refused: Option<&'static str>,
}

/// An entry's place.
pub(super) struct ReadEntry {
    pub(super) id: String,
    pub(super) hash: EntryId,
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    pub(super) heads: Vec<OperationHash>,
    pub(super) parents: Vec<String>,
}

pub(super) fn operations(input: &Input, names: &Names) -> Result<Vec<ReadOperation>, JsonError> {
    let mut known = BTreeMap::new();
    let mut read = Vec::with_capacity(input.operations.len());
    for (number, operation) in (1..).zip(&input.operations) {
        let wrong = |why: String| JsonError::Operation { number, id: operation.id.clone(), why };
        if let Some(first) = known.insert(&operation.id, number) {
            return Err(wrong(format!("operation {first} has this id already")));
        }
        let action = action(operation, names).map_err(wrong)?;
        let placed = Placed {
            hash: names.hash(&operation.id),
            user: names.user(&operation.author),
            device: names.device(operation.device()),
            parents: operation.parents.iter().map(|parent| names.hash(parent)).collect(),
            action,
        };
        let is_number =
            |number| usize::try_from(number).is_ok_and(|number| number < OPERATIONS_PER_DEVICE_MAX);
        let refused = if operation.bad_signature {
            Some("the signature is bad")
        } else if !operation.number.is_none_or(is_number) {
            Some("its number is not below 4,096")
        } else {
            None
        };
        read.push(ReadOperation { id: operation.id.clone(), placed, number: operation.number, refused });
    }
    Ok(read)
}

pub(super) fn entries(
    input: &Input,
    names: &Names,
    operations: &[ReadOperation],
) -> Result<Vec<ReadEntry>, JsonError> {
    let read = |(number, entry): (usize, &JsonEntry)| {
        let unknown = |head: &&String| !operations.iter().any(|operation| operation.id == **head);
        if let Some(head) = entry.heads.iter().find(unknown) {
            let why = format!("its head \"{head}\" is no operation");
            return Err(JsonError::Entry { number, id: entry.id.clone(), why });
        }
        Ok(ReadEntry {
            id: entry.id.clone(),
            hash: names.entry(&entry.id),
            user: names.user(&entry.author),
            device: names.device(entry.device()),
            heads: entry.heads.iter().map(|head| names.hash(head)).collect(),
            parents: entry.parents.clone(),
        })
    };
    (1..).zip(&input.entries).map(read).collect()
}

/// The fields that may stand in an operation of a kind, beside those that all have.
fn fields(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "create" => &["cap", "settings"],
        "add" | "set_role" => &["user", "role"],
        "remove" | "device_revoke" => &["user", "cut"],
        "leave" => &["successor"],
        "settings" => &["settings"],
        "invite_link" => &["not_after_ms"],
        "invite_revoke" => &["link"],
        _ => return None,
    })
}

fn action(operation: &JsonOperation, names: &Names) -> Result<Action, String> {
    let kind = operation.kind.as_str();
    let allowed = fields(kind).ok_or_else(|| format!("there is no kind \"{kind}\""))?;
    let present = [
        ("user", operation.user.is_some()),
        ("role", operation.role.is_some()),
        ("cut", operation.cut.is_some()),
        ("successor", operation.successor.is_some()),
        ("cap", operation.cap.is_some()),
        ("settings", operation.settings.is_some()),
        ("not_after_ms", operation.not_after_ms.is_some()),
        ("link", operation.link.is_some()),
    ];
    if let Some((field, _)) = present.iter().find(|(field, is)| *is && !allowed.contains(field)) {
        return Err(format!("{kind} has no \"{field}\""));
    }
    let needed = |field: &str| format!("{kind} needs \"{field}\"");
    let user = || operation.user.as_deref().map(|user| names.user(user)).ok_or_else(|| needed("user"));
    let role = || parse_role(operation.role.as_deref().ok_or_else(|| needed("role"))?);
    match kind {
        "create" => Ok(Action::Create(create(operation)?)),
        "add" => Ok(Action::Add { user: user()?, role: role()? }),
        "remove" => {
            let cut = operation.cut.as_ref().map(|cut| Cut {
                devices: cut.iter().map(|cut| (names.device(&cut.device), heads(cut, names))).collect(),
            });
            Ok(Action::Remove { user: user()?, cut })
        }
        "set_role" => Ok(Action::SetRole { user: user()?, role: role()? }),
        "leave" => {
            let successor = operation.successor.as_deref().map(|user| names.user(user));
            Ok(Action::Leave { successor })
        }
        "device_revoke" => match operation.cut.as_deref() {
            Some([cut]) => Ok(Action::DeviceRevoke(Box::new(revoke(user()?, cut, names)))),
            _ => Err("device_revoke needs a \"cut\" with its one device".to_owned()),
        },
        "settings" => {
            Ok(Action::Settings(settings(operation.settings.as_ref().ok_or_else(|| needed("settings"))?)?))
        }
        "invite_link" => Ok(Action::InviteLink {
            handle: Handle::derive("undertone v1 handle of a link in JSON", &[operation.id.as_bytes()]),
            not_after: operation.not_after_ms.map(Timestamp::from_ms),
        }),
        _ => {
            let link = operation.link.as_deref().ok_or_else(|| needed("link"))?;
            Ok(Action::InviteRevoke { link: names.hash(link) })
        }
    }
}

fn create(operation: &JsonOperation) -> Result<Create, String> {
    let cap = operation.cap.unwrap_or(GROUP_MEMBERS_MAX);
    if !(1..=GROUP_MEMBERS_MAX).contains(&cap) {
        return Err(format!("a cap is 1 to {GROUP_MEMBERS_MAX}"));
    }
    let settings = operation.settings.as_ref().map(settings).transpose()?.unwrap_or_default();
    Ok(Create { salt: [0; 16], cap, settings })
}

fn heads(cut: &JsonCut, names: &Names) -> CutHeads {
    CutHeads {
        operation: cut.operation.as_deref().map(|head| names.hash(head)),
        entry: cut.entry.as_deref().map(|head| names.entry(head)),
    }
}

/// The resolver looks at no signature.
fn revoke(user: UserId, cut: &JsonCut, names: &Names) -> DeviceRevoke {
    let heads = heads(cut, names);
    let fields = DeviceRevokeFields {
        user,
        list: DeviceListHash::new([0; 32]),
        device: names.device(&cut.device),
        conversation: ConversationId::new([0; 32]),
        cut: heads.entry.map(|head| (1, head)),
    };
    let signed = Signed { body: bytes::Bytes::new(), signature: [0; 64] };
    DeviceRevoke { fields, operation_head: heads.operation, signed }
}

fn settings(settings: &JsonSettings) -> Result<SettingsChange, String> {
    let role = |role: &Option<String>| role.as_deref().map(parse_role).transpose();
    let picture = settings.picture.as_deref().map(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()));
    Ok(SettingsChange {
        name: settings.name.as_deref().map(Name::new).transpose().map_err(|error| error.to_string())?,
        description: settings.description.clone(),
        picture: picture.transpose().map_err(|error| format!("picture: {error}"))?.map(Into::into),
        timer_s: settings.timer_s,
        may_add: role(&settings.may_add)?,
        may_write: role(&settings.may_write)?,
        history: settings.history,
    })
}

fn parse_role(role: &str) -> Result<Role, String> {
    let named = [Role::Owner, Role::Admin, Role::Member].into_iter().find(|known| known.as_str() == role);
    named.ok_or_else(|| format!("there is no role \"{role}\": owner, admin or member"))
}
