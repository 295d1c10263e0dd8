use rusqlite::{Connection, params};
use undertone_protocol::crypto::{InboundChannel, OutboundChannel, SessionState};
use undertone_protocol::ids::{ChannelHash, DeviceId, Tag};
use undertone_protocol::time::Timestamp;

use super::SqliteTx;
use super::columns::{all, blob, damaged, exists, get_id, get_id_opt, get_ms, get_secret, ms, one, run};
use crate::store::{OlmSession, PairwiseTx, StoreError};

const SESSION: &str = "Olm session";
const OUTBOUND: &str = "channel to a device";
const INBOUND: &str = "channel from a device";

impl PairwiseTx for SqliteTx<'_> {
    fn olm_sessions(&self, device: &DeviceId) -> Result<Vec<OlmSession>, StoreError> {
        olm_sessions(self.connection, device)
    }

    fn put_olm_session(&mut self, session: &OlmSession) -> Result<(), StoreError> {
        put_olm_session(self.connection, session)
    }

    fn delete_olm_session(&mut self, device: &DeviceId, id: &[u8; 32]) -> Result<(), StoreError> {
        delete_olm_session(self.connection, device, id)
    }

    fn prekey_base_seen(&self, base_key: &[u8; 32]) -> Result<bool, StoreError> {
        prekey_base_seen(self.connection, base_key)
    }

    fn put_prekey_base(&mut self, base_key: &[u8; 32], at: Timestamp) -> Result<(), StoreError> {
        put_prekey_base(self.connection, base_key, at)
    }

    fn forget_prekey_bases(&mut self, moment: Timestamp) -> Result<(), StoreError> {
        forget_prekey_bases(self.connection, moment)
    }

    fn outbound_channel(&self, device: &DeviceId) -> Result<Option<OutboundChannel>, StoreError> {
        outbound_channel(self.connection, device)
    }

    fn put_outbound_channel(
        &mut self,
        device: &DeviceId,
        channel: &OutboundChannel,
    ) -> Result<(), StoreError> {
        put_outbound_channel(self.connection, device, channel)
    }

    fn delete_outbound_channel(&mut self, device: &DeviceId) -> Result<(), StoreError> {
        run(self.connection, "DELETE FROM outbound_channels WHERE device = ?", [device.as_bytes()])?;
        Ok(())
    }

    fn inbound_channel(
        &self,
        hash: &ChannelHash,
    ) -> Result<Option<(InboundChannel, Option<DeviceId>)>, StoreError> {
        inbound_channel(self.connection, hash)
    }

    fn inbound_channels_of(&self, device: &DeviceId) -> Result<Vec<ChannelHash>, StoreError> {
        inbound_channels_of(self.connection, device)
    }

    fn put_inbound_channel(
        &mut self,
        hash: &ChannelHash,
        channel: &InboundChannel,
        device: Option<&DeviceId>,
    ) -> Result<(), StoreError> {
        put_inbound_channel(self.connection, hash, channel, device)
    }

    fn delete_inbound_channel(&mut self, hash: &ChannelHash) -> Result<(), StoreError> {
        delete_inbound_channel(self.connection, hash)
    }

    fn channels_by_tag(&self, tag: &Tag) -> Result<Vec<ChannelHash>, StoreError> {
        channels_by_tag(self.connection, tag)
    }

    fn put_channel_tags(&mut self, hash: &ChannelHash, tags: &[Tag]) -> Result<(), StoreError> {
        put_channel_tags(self.connection, hash, tags)
    }

    fn delete_channel_tag(&mut self, hash: &ChannelHash, tag: &Tag) -> Result<(), StoreError> {
        delete_channel_tag(self.connection, hash, tag)
    }
}

fn olm_sessions(connection: &Connection, device: &DeviceId) -> Result<Vec<OlmSession>, StoreError> {
    let sql = "SELECT id, state, used FROM olm_sessions WHERE device = ? ORDER BY used DESC, id";
    all(connection, sql, [device.as_bytes()], |row| {
        Ok(OlmSession {
            device: *device,
            id: blob(row, 0, SESSION)?.try_into().map_err(|error| damaged(SESSION, error))?,
            state: SessionState::from_bytes(get_secret(row, 1, SESSION)?),
            used: get_ms(row, 2)?,
        })
    })
}

fn put_olm_session(connection: &Connection, session: &OlmSession) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO olm_sessions (device, id, state, used) VALUES (?, ?, ?, ?)";
    let params = params![session.device.as_bytes(), session.id, session.state.as_bytes(), ms(session.used)];
    run(connection, sql, params)?;
    Ok(())
}

fn delete_olm_session(connection: &Connection, device: &DeviceId, id: &[u8; 32]) -> Result<(), StoreError> {
    let sql = "DELETE FROM olm_sessions WHERE device = ? AND id = ?";
    run(connection, sql, [device.as_bytes(), id])?;
    Ok(())
}

fn prekey_base_seen(connection: &Connection, base_key: &[u8; 32]) -> Result<bool, StoreError> {
    exists(connection, "SELECT 1 FROM prekey_bases WHERE base_key = ?", [base_key])
}

fn put_prekey_base(connection: &Connection, base_key: &[u8; 32], at: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO prekey_bases (base_key, at) VALUES (?, ?)";
    run(connection, sql, params![base_key, ms(at)])?;
    Ok(())
}

fn forget_prekey_bases(connection: &Connection, moment: Timestamp) -> Result<(), StoreError> {
    run(connection, "DELETE FROM prekey_bases WHERE at < ?", [ms(moment)])?;
    Ok(())
}

fn outbound_channel(
    connection: &Connection,
    device: &DeviceId,
) -> Result<Option<OutboundChannel>, StoreError> {
    let sql = "SELECT channel FROM outbound_channels WHERE device = ?";
    one(connection, sql, [device.as_bytes()], |row| {
        OutboundChannel::from_bytes(blob(row, 0, OUTBOUND)?).map_err(|error| damaged(OUTBOUND, error))
    })
}

fn put_outbound_channel(
    connection: &Connection,
    device: &DeviceId,
    channel: &OutboundChannel,
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO outbound_channels (device, channel) VALUES (?, ?)";
    run(connection, sql, params![device.as_bytes(), *channel.to_bytes()])?;
    Ok(())
}

fn inbound_channel(
    connection: &Connection,
    hash: &ChannelHash,
) -> Result<Option<(InboundChannel, Option<DeviceId>)>, StoreError> {
    let sql = "SELECT channel, device FROM inbound_channels WHERE hash = ?";
    one(connection, sql, [hash.as_bytes()], |row| {
        let channel = InboundChannel::from_bytes(blob(row, 0, INBOUND)?);
        Ok((channel.map_err(|error| damaged(INBOUND, error))?, get_id_opt(row, 1, INBOUND)?))
    })
}

fn inbound_channels_of(connection: &Connection, device: &DeviceId) -> Result<Vec<ChannelHash>, StoreError> {
    let sql = "SELECT hash FROM inbound_channels WHERE device = ? ORDER BY number DESC";
    all(connection, sql, [device.as_bytes()], |row| get_id(row, 0, INBOUND))
}

fn put_inbound_channel(
    connection: &Connection,
    hash: &ChannelHash,
    channel: &InboundChannel,
    device: Option<&DeviceId>,
) -> Result<(), StoreError> {
    // Not REPLACE: the channel keeps its number.
    let sql = "INSERT INTO inbound_channels (hash, channel, device) VALUES (?, ?, ?) \
               ON CONFLICT (hash) DO UPDATE SET channel = excluded.channel, device = excluded.device";
    let device = device.map(|device| device.as_bytes().as_slice());
    run(connection, sql, params![hash.as_bytes(), *channel.to_bytes(), device])?;
    Ok(())
}

fn delete_inbound_channel(connection: &Connection, hash: &ChannelHash) -> Result<(), StoreError> {
    run(connection, "DELETE FROM channel_tags WHERE hash = ?", [hash.as_bytes()])?;
    run(connection, "DELETE FROM inbound_channels WHERE hash = ?", [hash.as_bytes()])?;
    Ok(())
}

fn channels_by_tag(connection: &Connection, tag: &Tag) -> Result<Vec<ChannelHash>, StoreError> {
    let sql = "SELECT hash FROM channel_tags WHERE tag = ? ORDER BY hash";
    all(connection, sql, [tag.as_bytes()], |row| get_id(row, 0, INBOUND))
}

fn put_channel_tags(connection: &Connection, hash: &ChannelHash, tags: &[Tag]) -> Result<(), StoreError> {
    for tag in tags {
        let sql = "INSERT INTO channel_tags (tag, hash) VALUES (?, ?) ON CONFLICT DO NOTHING";
        run(connection, sql, params![tag.as_bytes(), hash.as_bytes()])?;
    }
    Ok(())
}

fn delete_channel_tag(connection: &Connection, hash: &ChannelHash, tag: &Tag) -> Result<(), StoreError> {
    let sql = "DELETE FROM channel_tags WHERE tag = ? AND hash = ?";
    run(connection, sql, params![tag.as_bytes(), hash.as_bytes()])?;
    Ok(())
}
