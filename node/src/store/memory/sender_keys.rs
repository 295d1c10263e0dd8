use undertone_protocol::ids::{ConversationId, SessionId, Tag};
use undertone_protocol::time::Timestamp;

use super::tables::Tables;
use crate::store::{ReceiverKey, SenderKey, SenderKeysTx, StoreError};

impl SenderKeysTx for Tables {
    fn sender_key(&self, conversation: &ConversationId) -> Result<Option<SenderKey>, StoreError> {
        Ok(self.sender_keys.get(conversation).cloned())
    }

    fn put_sender_key(&mut self, key: &SenderKey) -> Result<(), StoreError> {
        self.sender_keys.put(key.conversation, key.clone());
        Ok(())
    }

    fn receiver_key(&self, session: &SessionId) -> Result<Option<ReceiverKey>, StoreError> {
        Ok(self.receiver_keys.get(session).cloned())
    }

    fn put_receiver_key(&mut self, key: &ReceiverKey) -> Result<(), StoreError> {
        self.receiver_keys.put(key.session, key.clone());
        Ok(())
    }

    fn forget_receiver_keys(&mut self, moment: Timestamp) -> Result<(), StoreError> {
        self.forget_old_receiver_keys(moment);
        Ok(())
    }

    fn sessions_by_tag(&self, tag: &Tag) -> Result<Vec<(SessionId, u32)>, StoreError> {
        let tag = *tag;
        let rows = self.message_tags.from((tag, SessionId::new([0; 32])), move |(of, _)| *of == tag);
        Ok(rows.map(|((_, session), at)| (*session, *at)).collect())
    }

    fn put_message_tags(&mut self, session: &SessionId, tags: &[(Tag, u32)]) -> Result<(), StoreError> {
        for (tag, at) in tags {
            let key = (*tag, *session);
            if !self.message_tags.contains(&key) {
                self.message_tags.put(key, *at);
            }
        }
        Ok(())
    }

    fn delete_message_tag(&mut self, session: &SessionId, tag: &Tag) -> Result<(), StoreError> {
        self.message_tags.remove(&(*tag, *session));
        Ok(())
    }
}

impl Tables {
    fn forget_old_receiver_keys(&mut self, moment: Timestamp) {
        let gone = self.receiver_keys.forget(|_, key| key.received < moment);
        self.message_tags.forget(|(_, session), _| gone.contains(session));
    }
}
