use std::collections::{BTreeMap, BTreeSet};

use undertone_protocol::ids::{ConversationId, DeviceId, SessionId, Tag};
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

    fn next_seqs(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        let mut lowest = BTreeMap::new();
        for (_, key) in self.receiver_keys.iter().filter(|(_, key)| key.conversation == *conversation) {
            let seq = lowest.entry(key.device).or_insert(key.next_seq);
            *seq = key.next_seq.min(*seq);
        }
        Ok(lowest.into_iter().collect())
    }

    fn forget_receiver_keys(&mut self, moment: Timestamp) -> Result<(), StoreError> {
        self.forget_old_receiver_keys(moment);
        Ok(())
    }

    fn forget_receiver_keys_of(&mut self, device: &DeviceId, moment: Timestamp) -> Result<(), StoreError> {
        self.delete_sessions(|_, key| key.device == *device && key.received < moment);
        Ok(())
    }

    fn trim_receiver_keys(&mut self, device: &DeviceId, keys_max: usize) -> Result<(), StoreError> {
        let of_device = self.receiver_keys.iter().filter(|(_, key)| key.device == *device);
        let mut by_age: Vec<_> = of_device.map(|(session, key)| (key.received, *session)).collect();
        by_age.sort_unstable_by(|a, b| b.cmp(a));
        let old: BTreeSet<SessionId> =
            by_age.into_iter().skip(keys_max).map(|(_, session)| session).collect();
        self.delete_sessions(|session, _| old.contains(session));
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
        self.delete_sessions(|_, key| key.received < moment);
    }

    fn delete_sessions(&mut self, is_old: impl Fn(&SessionId, &ReceiverKey) -> bool) {
        let gone = self.receiver_keys.forget(is_old);
        self.message_tags.forget(|(_, session), _| gone.contains(session));
    }
}
