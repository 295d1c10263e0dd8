//! Up to where others wrote in a group, as this device knows: by what it holds, or by the word of whoever let its user in.
//! Whoever came in later holds nothing of what was before, and a cut that names nothing makes all of it void.

use std::collections::BTreeMap;

use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::keys::DeviceList;
use undertone_protocol::membership::Written;

use super::let_in::let_in;
use crate::engine::context::Context;
use crate::store::{ContactState, LogTx, Member, StoreError};

/// How far somebody's word on it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Nothing is taken.
    Passed,
    /// They may be about to let this user in: the last word holds until the operations say so.
    Last,
    /// They let this user in, or are another own device: of each device the greatest number holds.
    Greatest,
}

/// How far a user's word goes. Whoever else said it could have this user's removals cut off what nobody lacks.
pub(super) fn word_of(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
) -> Result<Word, StoreError> {
    let me = ctx.me.user;
    if *user == me {
        return Ok(Word::Greatest);
    }
    if ctx.groups.view(group).is_some_and(|view| view.is_in(&me)) {
        let did = let_in(ctx, group, &me).iter().any(|let_in| let_in.by == *user);
        return Ok(if did { Word::Greatest } else { Word::Passed });
    }
    let is_contact = ctx.tx.contact(user)?.is_some_and(|contact| contact.state == ContactState::Accepted);
    Ok(if is_contact { Word::Last } else { Word::Passed })
}

/// Takes what is said of a member's devices.
pub(super) fn learn(member: &mut Member, said: Vec<Written>, word: Word) {
    match word {
        Word::Passed => {}
        Word::Last if said.is_empty() => {}
        Word::Last => member.written = said,
        Word::Greatest => {
            for said in said {
                let known = member.written.iter().find(|known| known.device == said.device);
                if known.is_none_or(|known| known.seq < said.seq) {
                    member.written.retain(|known| known.device != said.device);
                    member.written.push(said);
                }
            }
        }
    }
}

/// The newest entry without a gap that is held of each device.
pub(super) fn held(
    tx: &dyn LogTx,
    group: &ConversationId,
) -> Result<BTreeMap<DeviceId, Written>, StoreError> {
    let held = tx
        .frontier(group)?
        .into_iter()
        .filter_map(|(device, item)| Some((device, Written { device, seq: item.seq, entry: item.head? })));
    Ok(held.collect())
}

/// Up to where the devices in a list wrote: what is `held`, or what was `told` where that is newer.
pub(super) fn of(list: &DeviceList, held: &BTreeMap<DeviceId, Written>, told: &[Written]) -> Vec<Written> {
    let newest = |device: &DeviceId| {
        let told = told.iter().find(|told| told.device == *device);
        held.get(device).into_iter().chain(told).max_by_key(|written| written.seq).copied()
    };
    list.devices.iter().filter_map(|listed| newest(&listed.certificate.device)).collect()
}
