use serde_json::{Value, json};

use super::names::Names;
use super::read::{ReadEntry, ReadOperation};
use super::{Left, below};
use crate::membership::resolver::{Anchored, EntryPlace, EntryVerdict, Verdict, View};
use crate::membership::role::Rank;

/// The answer.
pub(super) fn output(
    resolver: &mut Anchored,
    names: &Names,
    operations: &[ReadOperation],
    left: &Left,
    entries: &[ReadEntry],
) -> Value {
    let view = resolver.view();
    let mut output = of_view(&view, names);
    let heads: Vec<String> = resolver.heads().iter().map(|head| names.of_hash(head)).collect();
    let verdicts: Vec<Value> =
        operations.iter().map(|operation| of_operation(resolver, names, left, operation)).collect();
    let judged: Vec<Value> = entries.iter().map(|entry| of_entry(resolver, entries, entry)).collect();
    if let Some(fields) = output.as_object_mut() {
        fields.insert("heads".to_owned(), json!(heads));
        fields.insert("operations".to_owned(), json!(verdicts));
        if !judged.is_empty() {
            fields.insert("entries".to_owned(), json!(judged));
        }
    }
    output
}

fn of_view(view: &View, names: &Names) -> Value {
    let members: Vec<Value> = view
        .members
        .iter()
        .map(|(user, member)| {
            let mut value = of_rank(&names.of_user(user), member.rank);
            if let Some(fields) = value.as_object_mut() {
                fields.insert("grant".to_owned(), json!(names.of_hash(&member.grant)));
            }
            value
        })
        .collect();
    let past = view.past_members.iter().map(|(user, last)| of_rank(&names.of_user(user), *last));
    let links = view.links.iter().map(|(hash, link)| {
        json!({ "id": names.of_hash(hash), "maker": names.of_user(&link.maker), "not_after_ms": link.not_after.map(|end| end.as_ms()) })
    });
    let revoked = view
        .revoked_devices
        .iter()
        .map(|(user, device)| json!({ "user": names.of_user(user), "device": names.of_device(device) }));
    let settings = &view.settings;
    json!({
        "members": members,
        "past_members": past.collect::<Vec<_>>(),
        "acting_owner": view.acting_owner.map(|user| names.of_user(&user)),
        "cap": view.cap,
        "settings": {
            "name": settings.name.as_ref().map(|name| name.as_str()),
            "description": settings.description,
            "picture": data_encoding::HEXLOWER.encode(&settings.picture),
            "timer_s": settings.timer_s,
            "may_add": settings.may_add.as_str(),
            "may_write": settings.may_write.as_str(),
            "history": settings.history,
        },
        "links": links.collect::<Vec<_>>(),
        "revoked_devices": revoked.collect::<Vec<_>>(),
    })
}

fn of_rank(user: &str, rank: Rank) -> Value {
    json!({ "user": user, "role": rank.role.as_str(), "generation": rank.generation })
}

fn of_operation(resolver: &Anchored, names: &Names, left: &Left, operation: &ReadOperation) -> Value {
    let id = &operation.id;
    let void = |rule: u8, why: &str| json!({ "id": id, "counts": false, "rule": rule, "why": why });
    if let Some(why) = left.get(id) {
        return void(1, why);
    }
    match resolver.verdict(&operation.placed.hash) {
        None => void(1, "it is not in the set"),
        Some(Verdict::LeftOut) => void(1, "its device signed two operations apart from each other"),
        Some(Verdict::Counts) => json!({ "id": id, "counts": true }),
        Some(Verdict::Forbidden(forbidden)) => void(forbidden.rule, forbidden.why),
        Some(Verdict::Unsupported) => void(8, "no grant that gave the author the rank counts"),
        Some(Verdict::Killed(by)) => {
            let mut value = void(9, "a revocation that it did not know voids it");
            if let Some(fields) = value.as_object_mut() {
                fields.insert("by".to_owned(), json!(names.of_hash(&by)));
            }
            value
        }
    }
}

fn of_entry(resolver: &mut Anchored, entries: &[ReadEntry], entry: &ReadEntry) -> Value {
    let id = &entry.id;
    // Those that this one is an ancestor of.
    let above = entries.iter().filter(|other| below(entries, other).iter().any(|under| under.id == *id));
    let above: Vec<_> = above.map(|other| other.hash).collect();
    let place = EntryPlace { user: entry.user, device: entry.device, heads: &entry.heads };
    let verdict = resolver.entry_counts(place, |head| above.contains(head));
    let why = match verdict {
        Ok(EntryVerdict::Counts) => return json!({ "id": id, "counts": true }),
        Ok(EntryVerdict::NotIn) => "the author was not in, as they knew",
        Ok(EntryVerdict::DeviceRevoked) => "the device is revoked, and the entry outside the cut",
        Ok(EntryVerdict::ForkedHead) => "a head is of a device that had forked, as its author knew",
        Ok(EntryVerdict::Removed) => "the author was removed, and the entry is outside every cut",
        Err(_) => "a head is not in the set",
    };
    json!({ "id": id, "counts": false, "rule": 15, "why": why })
}
