use std::cmp::Reverse;

use undertone_protocol::crypto::{InboundChannel, OutboundChannel};
use undertone_protocol::ids::{ChannelHash, DeviceId, Tag};
use undertone_protocol::time::Timestamp;

use super::table::all;
use super::tables::{Counter, Inbound, Tables};
use crate::store::{OlmSession, PairwiseTx, StoreError};

impl PairwiseTx for Tables {
    fn olm_sessions(&self, device: &DeviceId) -> Result<Vec<OlmSession>, StoreError> {
        let device = *device;
        let mut sessions = all(self.olm_sessions.from((device, [0; 32]), move |(of, _)| *of == device));
        sessions.sort_by_key(|session| (Reverse(session.used), session.id));
        Ok(sessions)
    }

    fn put_olm_session(&mut self, session: &OlmSession) -> Result<(), StoreError> {
        self.olm_sessions.put((session.device, session.id), session.clone());
        Ok(())
    }

    fn delete_olm_session(&mut self, device: &DeviceId, id: &[u8; 32]) -> Result<(), StoreError> {
        self.olm_sessions.remove(&(*device, *id));
        Ok(())
    }

    fn prekey_base_seen(&self, base_key: &[u8; 32]) -> Result<bool, StoreError> {
        Ok(self.prekey_bases.contains(base_key))
    }

    fn put_prekey_base(&mut self, base_key: &[u8; 32], at: Timestamp) -> Result<(), StoreError> {
        self.prekey_bases.put(*base_key, at);
        Ok(())
    }

    fn forget_prekey_bases(&mut self, moment: Timestamp) -> Result<(), StoreError> {
        self.prekey_bases.forget(|_, at| *at < moment);
        Ok(())
    }

    fn outbound_channel(&self, device: &DeviceId) -> Result<Option<OutboundChannel>, StoreError> {
        Ok(self.outbound_channels.get(device).cloned())
    }

    fn put_outbound_channel(
        &mut self,
        device: &DeviceId,
        channel: &OutboundChannel,
    ) -> Result<(), StoreError> {
        self.outbound_channels.put(*device, channel.clone());
        Ok(())
    }

    fn delete_outbound_channel(&mut self, device: &DeviceId) -> Result<(), StoreError> {
        self.outbound_channels.remove(device);
        Ok(())
    }

    fn inbound_channel(
        &self,
        hash: &ChannelHash,
    ) -> Result<Option<(InboundChannel, Option<DeviceId>)>, StoreError> {
        Ok(self.inbound_channels.get(hash).map(|inbound| (inbound.channel.clone(), inbound.device)))
    }

    fn inbound_channels_of(&self, device: &DeviceId) -> Result<Vec<ChannelHash>, StoreError> {
        let all = self.inbound_channels.iter();
        let mut channels: Vec<_> =
            all.filter(|(_, inbound)| inbound.device.as_ref() == Some(device)).collect();
        channels.sort_by_key(|(_, inbound)| Reverse(inbound.number));
        Ok(channels.into_iter().map(|(hash, _)| *hash).collect())
    }

    fn put_inbound_channel(
        &mut self,
        hash: &ChannelHash,
        channel: &InboundChannel,
        device: Option<&DeviceId>,
    ) -> Result<(), StoreError> {
        let number = match self.inbound_channels.get(hash) {
            Some(held) => held.number,
            None => self.count(Counter::InboundChannels),
        };
        let inbound = Inbound { number, channel: channel.clone(), device: device.copied() };
        self.inbound_channels.put(*hash, inbound);
        Ok(())
    }

    fn delete_inbound_channel(&mut self, hash: &ChannelHash) -> Result<(), StoreError> {
        self.channel_tags.forget(|(_, of), ()| of == hash);
        self.inbound_channels.remove(hash);
        Ok(())
    }

    fn channels_by_tag(&self, tag: &Tag) -> Result<Vec<ChannelHash>, StoreError> {
        let tag = *tag;
        let rows = self.channel_tags.from((tag, ChannelHash::new([0; 32])), move |(of, _)| *of == tag);
        Ok(rows.map(|((_, hash), ())| *hash).collect())
    }

    fn put_channel_tags(&mut self, hash: &ChannelHash, tags: &[Tag]) -> Result<(), StoreError> {
        for tag in tags {
            self.channel_tags.put((*tag, *hash), ());
        }
        Ok(())
    }

    fn delete_channel_tag(&mut self, hash: &ChannelHash, tag: &Tag) -> Result<(), StoreError> {
        self.channel_tags.remove(&(*tag, *hash));
        Ok(())
    }
}
