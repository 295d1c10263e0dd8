use undertone_protocol::ids::{ConversationId, UserId};

use super::table::all;
use super::tables::Tables;
use crate::store::{Group, GroupsTx, Member, StoreError};

impl GroupsTx for Tables {
    fn group(&self, id: &ConversationId) -> Result<Option<Group>, StoreError> {
        Ok(self.groups.get(id).cloned())
    }

    fn groups(&self) -> Result<Vec<Group>, StoreError> {
        Ok(all(self.groups.iter()))
    }

    fn put_group(&mut self, group: &Group) -> Result<(), StoreError> {
        self.groups.put(group.id, group.clone());
        Ok(())
    }

    fn delete_group(&mut self, id: &ConversationId) -> Result<(), StoreError> {
        self.groups.remove(id);
        self.group_documents.forget(|(of, _), _| of == id);
        self.members.forget(|(of, _), _| of == id);
        self.frontiers.forget(|(of, _), _| of == id);
        self.gaps.forget(|(of, ..), _| of == id);
        self.cuts.forget(|(of, _), _| of == id);
        self.acknowledgements.forget(|(of, _), _| of == id);
        self.acknowledged.forget(|(of, _), _| of == id);
        self.acknowledged_at.forget(|(which, _), _| which.conversation == *id);
        self.own_receipts.remove(id);
        Ok(())
    }

    fn group_document(&self, id: &ConversationId) -> Result<Vec<Vec<u8>>, StoreError> {
        let id = *id;
        Ok(all(self.group_documents.from((id, 0), move |(of, _)| *of == id)))
    }

    fn put_group_document(&mut self, id: &ConversationId, document: &[u8]) -> Result<(), StoreError> {
        self.group_documents.forget(|(of, _), _| of == id);
        self.add_to_group_document(id, document)
    }

    fn add_to_group_document(&mut self, id: &ConversationId, part: &[u8]) -> Result<(), StoreError> {
        let parts = self.group_documents.through((*id, 0), (*id, usize::MAX)).count();
        self.group_documents.put((*id, parts), part.to_vec());
        Ok(())
    }

    fn member(&self, group: &ConversationId, user: &UserId) -> Result<Option<Member>, StoreError> {
        Ok(self.members.get(&(*group, *user)).cloned())
    }

    fn members(&self, group: &ConversationId) -> Result<Vec<Member>, StoreError> {
        let group = *group;
        Ok(all(self.members.from((group, UserId::new([0; 32])), move |(of, _)| *of == group)))
    }

    fn groups_of(&self, user: &UserId) -> Result<Vec<ConversationId>, StoreError> {
        let of_user = self.members.iter().filter(|((_, of), _)| of == user);
        Ok(of_user.map(|((group, _), _)| *group).collect())
    }

    fn put_member(&mut self, member: &Member) -> Result<(), StoreError> {
        self.members.put((member.group, member.user), member.clone());
        Ok(())
    }

    fn delete_member(&mut self, group: &ConversationId, user: &UserId) -> Result<(), StoreError> {
        self.members.remove(&(*group, *user));
        Ok(())
    }
}
