use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use undertone_protocol::ids::{
    ConversationId, DeviceId, EntryId, OperationHash, PayloadHash, RelayId, Tag, UserId,
};
use undertone_protocol::keys::DeviceList;
use undertone_protocol::log::Frontier;
use undertone_protocol::time::Timestamp;

use super::looks::Looks;
use super::refusals::Refusals;
use super::routing::Routing;
use crate::store::Failure;

/// Devices whose word was doubted that are remembered.
const DOUBTED_MAX: usize = 4_096;

/// What the engine remembers so that it need not search: what [`super::Engine::settle`] has to look at, and
/// small indexes. Volatile; at a start everything is on it.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// Conversations with messages that may be sealed now.
    pub(super) seal: BTreeSet<ConversationId>,
    /// Contacts with an introduction to send.
    pub(super) introduce: BTreeSet<UserId>,
    /// Contacts of whose devices a bundle is missing or old.
    pub(super) fetch: BTreeSet<UserId>,
    /// Whether something may be in the outbox that could go out.
    pub(super) publish: bool,
    /// Ways over two relays.
    pub(super) routing: Routing,
    /// Mailboxes of others that do not take what is sent there.
    pub(super) refusals: Refusals,
    /// Behind which outbox item the next sweep looks for old ones.
    pub(super) swept_to: u64,
    /// When it is looked again whether a relay that holds something can be reached.
    pub(super) custodians_at: Option<Timestamp>,
    /// Outbox items that wait for fewer devices than before.
    pub(super) conclude: BTreeSet<u64>,
    /// Whether an acknowledgement may be due.
    pub(super) receipts: bool,
    /// When one is due that would come too early now.
    pub(super) receipts_at: Option<Timestamp>,
    /// Devices to which an acknowledgement is on its way that was made before the last one of the conversation.
    pub(super) behind: BTreeSet<(ConversationId, DeviceId)>,
    /// Home relays that should be asked how many one-time prekeys are left.
    pub(super) prekeys: BTreeSet<RelayId>,
    /// When others were last told for that a home relay had forgotten all.
    pub(super) forgotten: BTreeMap<RelayId, Timestamp>,
    /// When everybody was last told that a home relay is somewhere else, by its own word.
    pub(super) moved: BTreeMap<RelayId, Timestamp>,
    /// Relays that can't be reached and that a home relay was asked for: when to ask again, and how long that was waited for.
    pub(super) sought: BTreeMap<RelayId, (Timestamp, Duration)>,
    /// When devices last introduced themselves by whose word their mailboxes took nothing: what they said before is not believed
    /// either.
    pub(super) doubted: BTreeMap<DeviceId, Timestamp>,
    /// All conversations: finding the contact of one must not cost a look at all.
    pub(super) directory: BTreeMap<ConversationId, Side>,
    /// Whose device each is that some list names, revoked ones included.
    pub(super) devices: BTreeMap<DeviceId, UserId>,
    /// Members of groups to whom this device may have to introduce itself, or whom it may have to welcome.
    pub(super) meet: BTreeSet<(ConversationId, UserId)>,
    /// Groups in which somebody is called something else than before, and when that is told.
    pub(super) renamed: BTreeMap<ConversationId, Timestamp>,
    /// Changes of this user's devices that groups are not told of yet, with the device that was revoked, if one was.
    pub(super) announce: Vec<Option<DeviceId>>,
    /// Groups that the user's other devices are to be told all of.
    pub(super) share: BTreeSet<ConversationId>,
    /// Devices that are to be told what is known of a group.
    pub(super) updates: BTreeMap<(ConversationId, DeviceId), Update>,
    /// When a device was last told of a group.
    pub(super) updated: BTreeMap<(ConversationId, DeviceId), Timestamp>,
    /// When to look for members of a group whom this device can't reach, and how often it asked for them.
    pub(super) seek: BTreeMap<ConversationId, (Timestamp, u32)>,
    /// When a member's device was last asked for another token, and how often: relays refuse what it gave.
    pub(super) refused: BTreeMap<(ConversationId, DeviceId), Shown>,
    /// When members of a group who were not heard of were last introduced to this device.
    pub(super) greeted: BTreeMap<ConversationId, Timestamp>,
    /// Who had brought something of a group at the last look that waited, or held by nothing.
    pub(super) lingering: BTreeSet<(ConversationId, DeviceId)>,
    /// Groups in which this user never was, unless they came in since.
    pub(super) told: BTreeMap<ConversationId, Told>,
    /// Members who may be in no group.
    pub(super) strangers: BTreeSet<UserId>,
    /// How far each member of a group has come with this device's messages, where that was asked of late.
    pub(super) progress: BTreeMap<ConversationId, BTreeMap<UserId, Progress>>,
    /// Devices of members that are to be told what is held of these authors, as they handed it over or may do so.
    pub(super) handed: BTreeMap<(ConversationId, DeviceId), BTreeSet<DeviceId>>,
    /// When this device last acknowledged something of a large group.
    pub(super) acknowledged: BTreeMap<ConversationId, Timestamp>,
    /// Whether payloads in quarantine may open now.
    pub(super) quarantine: bool,
    /// The tags of what is in quarantine, so that a key that opens none of it costs nothing.
    pub(super) quarantined: BTreeSet<Tag>,
    /// Introductions among them, and what each waits for.
    pub(super) kept: BTreeMap<PayloadHash, Kept>,
    /// How many payloads may be handled before the store looks whether it remembers too many.
    pub(super) seen_room: usize,
    /// When devices of contacts were, or will be, last asked to send again what could not be read.
    pub(super) asked_to_retry: BTreeMap<DeviceId, Timestamp>,
    /// When devices of contacts were last sent again what they could not read.
    pub(super) retried: BTreeMap<DeviceId, Timestamp>,
    /// Devices of contacts that must be sent again what they could not read, and when.
    pub(super) retry_again: BTreeMap<DeviceId, (UserId, Timestamp)>,
    /// When the next entry's time is over.
    pub(super) vanishes_at: Option<Timestamp>,
    /// Whether the account changed in the store.
    pub(super) reload: bool,
    /// Devices whose bundle can't be had just now: what is sealed does not wait for them.
    pub(super) unfetchable: BTreeSet<DeviceId>,
    /// Contacts of whom something changed here that the user's other devices have to know.
    pub(super) changed: BTreeSet<UserId>,
    /// Contacts of whom another device of the user told something.
    pub(super) followed: BTreeSet<UserId>,
    /// Devices that may lack entries of a conversation, and when to look.
    pub(super) compare: BTreeMap<(DeviceId, ConversationId), Timestamp>,
    /// When a contact's device spoke of a conversation, if what it lacks was not looked at since.
    pub(super) spoke: BTreeMap<(DeviceId, ConversationId), Timestamp>,
    /// Devices that acknowledged something that is not taken in yet.
    pub(super) take_in: BTreeSet<(DeviceId, ConversationId)>,
    /// Whose turn it was last.
    pub(super) took_in: Option<(DeviceId, ConversationId)>,
    /// Looks for messages that must go again to devices.
    pub(super) looks: Looks,
    /// Devices that can be reached and may have been left out, and when to look.
    pub(super) left_out: BTreeMap<(DeviceId, ConversationId), Timestamp>,
    /// What a device was sent last of a conversation's history.
    pub(super) offered: BTreeMap<(DeviceId, ConversationId), Offer>,
    /// Devices of this user that their relay did not take the answer to their code for, and why.
    pub(super) links_refused: BTreeMap<DeviceId, Failure>,
    /// Numbers that a device was proved to have used twice, and that others must be shown.
    pub(super) forks: BTreeSet<(ConversationId, DeviceId, u64)>,
    /// When a device was last shown that somebody wrote two entries with one number.
    pub(super) forks_shown: BTreeMap<(DeviceId, ConversationId), Shown>,
}

/// When something was shown, and how often in a row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shown {
    pub(super) at: Timestamp,
    pub(super) times: u32,
}

/// A group of which others only told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// The contact who brought it; `None`: before the start.
    pub(super) by: Option<UserId>,
    /// When it came to this device.
    pub(super) added: Timestamp,
}

/// What an introduction waits for that came too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// A request: until the user has room for more.
    Request,
    /// A member's: until this device knows that they are one.
    Member,
    /// It was not looked at since the start.
    Unknown,
}

/// Who is on the other side of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A contact, who may be oneself.
    User(UserId),
    /// A group.
    Group,
}

/// What a device is to be told of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Update {
    /// The operations beyond these; `None`: none.
    pub(super) since: Option<Vec<OperationHash>>,
    /// This device lacks something.
    pub(super) asks: bool,
    /// Everybody, and how to reach them.
    pub(super) people: bool,
    /// These, and how to reach them.
    pub(super) people_of: BTreeSet<UserId>,
    /// Members whom this device can't reach.
    pub(super) wants: BTreeSet<UserId>,
    /// Operations that this device waits for.
    pub(super) lacks: BTreeSet<OperationHash>,
    /// Operations that the other one waits for, or by which it is out.
    pub(super) named: BTreeSet<OperationHash>,
    /// Of a device that is out: what it knows.
    pub(super) below: Vec<OperationHash>,
    /// The entry by which its user was put out.
    pub(super) farewell: Option<EntryId>,
}

/// What a member's devices ever said of this device's messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// The first number that is for them.
    pub(super) from_seq: u64,
    /// What some device of theirs has.
    pub(super) delivered: Frontier,
    /// What they have read.
    pub(super) read: Frontier,
}

/// Entries that are on their way to a device.
#[derive(Debug)]
pub(super) struct Offer {
    /// Since when.
    pub(super) at: Timestamp,
    /// Whose, and their numbers.
    pub(super) entries: BTreeSet<(DeviceId, u64)>,
    /// How often they were sent before, the device being silent.
    pub(super) unheard: u32,
}

impl Agenda {
    /// How many introductions wait for this.
    pub(super) fn kept(&self, what: Kept) -> usize {
        self.kept.values().filter(|kept| **kept == what).count()
    }

    /// A device was revoked: nothing is due to it.
    pub(super) fn forget(&mut self, device: &DeviceId) {
        self.behind.retain(|(_, behind)| behind != device);
        self.handed.retain(|(_, by), _| by != device);
        self.compare.retain(|(of, _), _| of != device);
        self.spoke.retain(|(of, _), _| of != device);
        self.offered.retain(|(of, _), _| of != device);
        self.asked_to_retry.remove(device);
        self.retried.remove(device);
        self.retry_again.remove(device);
        self.unfetchable.remove(device);
        self.updates.retain(|(_, of), _| of != device);
        self.updated.retain(|(_, of), _| of != device);
        self.refused.retain(|(_, of), _| of != device);
    }

    /// A group is not kept any more: nothing is due there.
    pub(super) fn forget_group(&mut self, group: &ConversationId) {
        self.directory.remove(group);
        self.told.remove(group);
        self.seal.remove(group);
        self.share.remove(group);
        self.renamed.remove(group);
        self.seek.remove(group);
        self.greeted.remove(group);
        self.progress.remove(group);
        self.acknowledged.remove(group);
        self.meet.retain(|(of, _)| of != group);
        self.behind.retain(|(of, _)| of != group);
        self.updates.retain(|(of, _), _| of != group);
        self.updated.retain(|(of, _), _| of != group);
        self.refused.retain(|(of, _), _| of != group);
        self.lingering.retain(|(of, _)| of != group);
        self.handed.retain(|(of, _), _| of != group);
        self.compare.retain(|(_, of), _| of != group);
        self.spoke.retain(|(_, of), _| of != group);
        self.left_out.retain(|(_, of), _| of != group);
        self.offered.retain(|(_, of), _| of != group);
        self.take_in.retain(|(_, of)| of != group);
    }

    /// A list names these devices as a user's. Anybody can list a device that is not theirs: of lists the first one counts.
    pub(super) fn note_devices(&mut self, user: UserId, list: &DeviceList) {
        for listed in &list.devices {
            self.devices.entry(listed.certificate.device).or_insert(user);
        }
    }

    /// A device's mailboxes took nothing by its word of then. Of very many the first ones are not remembered.
    pub(super) fn note_doubted(&mut self, device: DeviceId, said: Timestamp) {
        if self.doubted.len() >= DOUBTED_MAX && !self.doubted.contains_key(&device) {
            self.doubted.pop_first();
        }
        self.doubted.insert(device, said);
    }

    /// A device itself signed whose it is: no list says otherwise.
    pub(super) fn note_device(&mut self, device: DeviceId, user: UserId) {
        self.devices.insert(device, user);
    }

    /// These devices introduced themselves as a user's: by their own signatures.
    pub(super) fn note_introduced(&mut self, user: UserId, introduced: &[(DeviceId, Timestamp)]) {
        introduced.iter().for_each(|(device, _)| self.note_device(*device, user));
    }

    /// Whose acknowledgement is taken in next: each has its turn.
    pub(super) fn next_to_take_in(&mut self) -> Option<(DeviceId, ConversationId)> {
        let behind = self.took_in.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.take_in.range((behind, Bound::Unbounded)).next().or_else(|| self.take_in.first());
        self.took_in = next.copied();
        self.took_in
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        let by_device =
            [&mut self.asked_to_retry, &mut self.retried].into_iter().flat_map(BTreeMap::values_mut);
        let again = self.retry_again.values_mut().map(|(_, at)| at);
        let looks = [&mut self.compare, &mut self.spoke, &mut self.left_out];
        let looks = looks.into_iter().flat_map(BTreeMap::values_mut);
        let offered = self.offered.values_mut().map(|offer| &mut offer.at);
        let shown = self.forks_shown.values_mut().chain(self.refused.values_mut());
        let offered = offered.chain(shown.map(|shown| &mut shown.at));
        let updated = self.updated.values_mut().chain(self.acknowledged.values_mut());
        let updated =
            updated.chain(self.greeted.values_mut()).chain(self.seek.values_mut().map(|(at, _)| at));
        let updated = updated.chain(self.renamed.values_mut()).chain(&mut self.custodians_at);
        let updated = updated.chain(&mut self.receipts_at);
        let updated = updated.chain(self.forgotten.values_mut()).chain(self.moved.values_mut());
        let updated = updated.chain(self.sought.values_mut().map(|(at, _)| at));
        for at in by_device.chain(again).chain(looks).chain(offered).chain(updated) {
            *at = at.before(by);
        }
        self.looks.set_back(by);
        self.refusals.set_back(by);
        self.routing.set_back(by);
    }

    /// These tags are expected from now on.
    pub(super) fn expected<'a>(&mut self, mut tags: impl Iterator<Item = &'a Tag>) {
        self.quarantine |= tags.any(|tag| self.quarantined.contains(tag));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_keeps_its_time_where_the_clock_is_set_back() {
        let day = Duration::from_secs(24 * 3_600);
        let at = Timestamp::ZERO.after(day);
        let mut agenda = Agenda { receipts_at: Some(at), custodians_at: Some(at), ..Agenda::default() };
        agenda.set_back(day);
        assert_eq!(
            (agenda.receipts_at, agenda.custodians_at),
            (Some(Timestamp::ZERO), Some(Timestamp::ZERO))
        );
    }

    #[test]
    fn whom_a_full_table_knows_takes_nobodys_place() {
        let mut agenda = Agenda::default();
        let device = |n: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            DeviceId::new(id)
        };
        for n in 0..DOUBTED_MAX {
            agenda.note_doubted(device(n), Timestamp::ZERO);
        }
        let later = Timestamp::from_ms(1);
        agenda.note_doubted(device(7), later);
        assert!(agenda.doubted.len() == DOUBTED_MAX && agenda.doubted[&device(7)] == later);
        agenda.note_doubted(device(DOUBTED_MAX), later);
        assert!(agenda.doubted.len() == DOUBTED_MAX && !agenda.doubted.contains_key(&device(0)));
    }
}
