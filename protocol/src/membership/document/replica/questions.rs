//! What a document says of what it holds, and of who may do what.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::waiting::Missing;
use super::Document;
use crate::ids::{CertificateHash, DeviceId, EntryId, OperationHash, UserId};
use crate::limits::UPDATE_HEADS_MAX;
use crate::membership::action::Action;
use crate::membership::operation::{Operation, SignedOperation};
use crate::membership::resolver::{EntryPlace, EntryVerdict, Forbidden, UnknownHead, Verdict, View};

/// Landmarks besides heads, at most: one for each power of two, and the Create.
const FURTHER_MAX: usize = 33;

impl Document {
    /// How many operations are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is, not even the Create.
    pub fn is_empty(&self) -> bool {
        self.held.len() == 0
    }

    /// How many operations are held as long as those are there who brought them, since nothing holds by them.
    pub fn aside(&self) -> usize {
        self.aside.len()
    }

    /// How many operations wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What they wait for, ascending: what to ask others for. An operation in it may itself be waiting.
    pub fn wanted(&self) -> Vec<Missing> {
        self.waiting.missing().collect()
    }

    /// A held operation.
    pub fn get(&self, hash: &OperationHash) -> Option<&SignedOperation> {
        self.held.find(hash).map(|row| &row.signed)
    }

    /// Users whose entries some held operation cuts off, anchored or not, and whether it counts or not: a removal of
    /// theirs, or a revocation of one of their devices. Of anybody else all entries count, and always did.
    pub fn ever_cut(&self) -> BTreeSet<UserId> {
        let actions = self.held.rows().iter().map(|row| &row.signed.operation.action);
        let cut = actions.filter_map(|action| match action {
            Action::Remove { user, .. } => Some(*user),
            Action::DeviceRevoke(revoke) => Some(revoke.fields.user),
            _ => None,
        });
        cut.collect()
    }

    /// Whether some held operation, anchored or not, says that a device's entries end with this one.
    pub fn is_end(&self, entry: &EntryId) -> bool {
        self.held.rows().iter().any(|row| match &row.signed.operation.action {
            Action::Remove { cut: Some(cut), .. } => {
                cut.devices.values().any(|heads| heads.entry.as_ref() == Some(entry))
            }
            Action::DeviceRevoke(revoke) => revoke.fields.cut.is_some_and(|(_, head)| head == *entry),
            _ => false,
        })
    }

    /// What no anchored operation is named by as a parent, ascending: it stands for all that is anchored.
    pub fn heads(&self) -> Vec<OperationHash> {
        self.resolver.heads()
    }

    /// What an entry of a user is to name as its membership heads, ascending.
    pub fn heads_for(&self, user: &UserId) -> Vec<OperationHash> {
        self.resolver.heads_for(user)
    }

    /// What an operation of a user's device would name as parents now, ascending; `None`: it may write none.
    pub fn parents_for(&self, user: &UserId, device: &DeviceId) -> Option<Vec<OperationHash>> {
        self.resolver.place_for(user, device).map(|(parents, _)| parents)
    }

    /// The heads, and then anchored operations at distances that double, back to the Create: what to tell a peer who
    /// may not know the heads, so that [`Self::since`] there finds the newest that both know. Some 16 for 10,000, and
    /// never more than an update holds ([`UPDATE_HEADS_MAX`]): of more heads the first ones.
    pub fn landmarks(&self) -> Vec<OperationHash> {
        let mut landmarks = self.heads();
        landmarks.truncate(UPDATE_HEADS_MAX.saturating_sub(FURTHER_MAX));
        let rows = self.held.rows();
        let back = (0..u32::BITS).map_while(|power| 1_usize.checked_shl(power));
        let back = back.map_while(|back| rows.get(rows.len().checked_sub(back.checked_add(1)?)?));
        let further = back.chain(rows.first()).map(|row| row.hash);
        for hash in further.filter(|hash| self.resolver.is_anchored(hash)) {
            if !landmarks.contains(&hash) {
                landmarks.push(hash);
            }
        }
        landmarks
    }

    /// What a peer lacks who holds these and what they stand on, parents first: what to send. Those that are not
    /// held here are passed over; without any, it is everything that is anchored. What is of a device after its fork
    /// comes right before the first that stands on it, so that the peer need not hold it by nothing for long.
    pub fn since(&self, heads: &[OperationHash]) -> impl Iterator<Item = (OperationHash, &SignedOperation)> {
        let rows = self.held.beyond(heads, |at| self.resolver.leads(at));
        rows.into_iter().map(|row| (row.hash, &row.signed))
    }

    /// What a peer asks for by name, anchored or not, with what it stands on, but for what the peer holds; parents
    /// first.
    pub fn past_of(
        &self,
        wanted: &[OperationHash],
        known: &[OperationHash],
    ) -> impl Iterator<Item = (OperationHash, &SignedOperation)> {
        self.held.past_of(wanted, known).into_iter().map(|row| (row.hash, &row.signed))
    }

    /// Which of a peer's heads are not held here: what to ask for.
    pub fn missing(&self, heads: &[OperationHash]) -> Vec<OperationHash> {
        heads.iter().filter(|head| !self.held.contains(head)).copied().collect()
    }

    /// The group as it is.
    pub fn view(&mut self) -> Arc<View> {
        self.resolver.view()
    }

    /// The group as it was for somebody who knew these operations and what they stand on.
    pub fn view_at(&mut self, heads: &[OperationHash]) -> Result<Arc<View>, UnknownHead> {
        self.resolver.view_at(heads)
    }

    /// Whether an operation counts; `None` if it is not held.
    pub fn verdict(&self, hash: &OperationHash) -> Option<Verdict> {
        self.resolver.verdict(hash)
    }

    /// Whether what somebody does now would count, as far as is known.
    pub fn allowed(&mut self, user: UserId, device: DeviceId, action: &Action) -> Result<(), Forbidden> {
        self.resolver.allowed(user, device, action)
    }

    /// Whether an entry of the group's log counts (rule 15).
    pub fn entry_counts(
        &mut self,
        place: EntryPlace<'_>,
        is_below: impl Fn(&EntryId) -> bool,
    ) -> Result<EntryVerdict, UnknownHead> {
        self.resolver.entry_counts(place, is_below)
    }

    /// An operation on top of what is anchored, for a user's device to sign: [`SignedOperation::issue`], and then
    /// [`Self::take`], before anything else is drafted for it. `None`: the device has forked, or may not write any
    /// more, or there is nothing to stand on.
    pub fn draft(
        &self,
        user: &UserId,
        device: DeviceId,
        certificate: CertificateHash,
        action: Action,
    ) -> Option<Operation> {
        let (parents, number) = self.resolver.place_for(user, &device)?;
        Some(Operation { group: Some(self.group), device, certificate, parents, number, action })
    }

    /// Revocations of devices that were left out with the operations that carry them: to be carried again. If one
    /// cuts at what is left out too, its user has to sign another one.
    pub fn to_carry(&mut self) -> Vec<Action> {
        let revoked = self.view().revoked_devices.clone();
        let lost = self.held.rows().iter().filter(|row| !self.resolver.is_anchored(&row.hash));
        let lost = lost.map(|row| &row.signed.operation.action);
        let is_open = |action: &&Action| match action {
            Action::DeviceRevoke(revoke) => !revoked.contains(&(revoke.fields.user, revoke.fields.device)),
            _ => false,
        };
        lost.filter(is_open).cloned().collect()
    }
}
