//! Groups: what their operations do here, how they travel, and how members get to know each other
//! (`spec/groups.md`).

// In import order: a module imports only from those above it.
mod absence;
pub(super) mod departures;
mod hearsay;
mod judging;
mod let_in;
mod room;
mod rounds;
mod seeking;
mod views;
mod written;

mod again;

mod meeting;

mod farewells;
mod following;
mod telling;

mod updates;

mod entries;

mod changes;

mod own_devices;

pub(super) use absence::was_out_meanwhile;
pub(super) use again::{introduce_again, tell_again, welcome_again, welcome_due as welcome};
pub(super) use changes::{create, cut_of, may, operate};
pub(super) use entries::admit_entry;
pub(super) use farewells::{tell_late, tell_removed};
pub(super) use hearsay::{is_held_elsewhere, make_room};
pub(super) use judging::judge_entry;
pub(super) use meeting::admit as admit_introduction;
pub(super) use seeking::not_reached;
pub(super) use telling::next_deadline;
pub(super) use updates::{ask, heard_of, received as update_received};
pub(super) use views::group as view;

use undertone_protocol::ids::DeviceId;
use undertone_protocol::keys::DeviceList;
use undertone_protocol::time::Timestamp;

use super::agenda::{Agenda, Side};
use super::context::Context;
use crate::store::{NodeTx, StoreError};

/// At a start: groups, and whom to meet there.
pub(super) fn look_at_all(tx: &dyn NodeTx, agenda: &mut Agenda, now: Timestamp) -> Result<(), StoreError> {
    for group in tx.groups()? {
        agenda.directory.insert(group.id, Side::Group);
        agenda.seek.insert(group.id, seeking::first(now));
        agenda.seal.insert(group.id);
        super::acknowledging::look_behind(tx, agenda, &group.id)?;
        let members = tx.members(&group.id)?;
        hearsay::look_at(tx, agenda, &group, &members)?;
        for member in members {
            agenda.note_introduced(member.user, &member.introduced);
            if member.introduction_due || member.welcome_due {
                agenda.meet.insert((group.id, member.user));
            }
            let person = tx.contact(&member.user)?;
            let list = person.and_then(|person| person.device_list);
            let listed = list.iter().flat_map(|list: &DeviceList| &list.devices);
            let devices: Vec<DeviceId> = listed.map(|listed| listed.certificate.device).collect();
            super::receipts::look_at_rest(tx, agenda, &devices, &group.id)?;
        }
    }
    Ok(())
}

/// Seals what members are to be told: who this device is, what happened, and what they asked for.
pub(super) fn seal_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for revoked in std::mem::take(&mut ctx.agenda.announce) {
        own_devices::announce(ctx, revoked)?;
    }
    for group in std::mem::take(&mut ctx.agenda.share) {
        updates::tell_siblings(ctx, &group)?;
    }
    seeking::seek_due(ctx)?;
    meeting::seal_due(ctx)?;
    meeting::tell_names_due(ctx)?;
    telling::seal_due(ctx)
}

/// What is looked at every ten minutes.
pub(super) fn sweep(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    own_devices::sweep(ctx)?;
    room::sweep(ctx)?;
    hearsay::sweep(ctx)?;
    meeting::sweep(ctx)
}

#[cfg(test)]
mod tests;
