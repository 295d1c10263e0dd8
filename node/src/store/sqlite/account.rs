use prost::Message;
use prost::bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use undertone_protocol::crypto::AccountState;
use undertone_protocol::ids::RelayId;
use undertone_protocol::keys::{Certificate, DeviceList, Name, RelayAddress};
use undertone_protocol::time::Timestamp;

use super::SqliteTx;
use super::columns::{
    all, damaged, get_id, get_id_opt, get_int, get_message, get_ms, get_ms_opt, get_packed, get_ranges,
    get_secret, get_signed, int, ms, one, pack, pack_ranges, run, signed,
};
use crate::store::{Account, AccountTx, Fault, HomeRelay, Received, Retired, StoreError, SupersededKey};

const ACCOUNT: &str = "account";
const HOME_RELAY: &str = "home relay";

impl AccountTx for SqliteTx<'_> {
    fn account(&self) -> Result<Option<Account>, StoreError> {
        account(self.connection)
    }

    fn put_account(&mut self, account: &Account) -> Result<(), StoreError> {
        put_account(self.connection, account)
    }

    fn olm_account(&self) -> Result<Option<AccountState>, StoreError> {
        olm_account(self.connection)
    }

    fn put_olm_account(&mut self, state: &AccountState) -> Result<(), StoreError> {
        put_olm_account(self.connection, state)
    }

    fn introduced(&self) -> Result<Option<Timestamp>, StoreError> {
        one(self.connection, "SELECT at FROM introduced", [], |row| get_ms(row, 0))
    }

    fn put_introduced(&mut self, issued: Timestamp) -> Result<(), StoreError> {
        run(self.connection, "INSERT OR REPLACE INTO introduced (one, at) VALUES (1, ?)", [ms(issued)])?;
        Ok(())
    }

    fn home_relays(&self) -> Result<Vec<HomeRelay>, StoreError> {
        home_relays(self.connection)
    }

    fn home_relay(&self, relay: &RelayId) -> Result<Option<HomeRelay>, StoreError> {
        home_relay(self.connection, relay)
    }

    fn put_home_relay(&mut self, relay: &HomeRelay) -> Result<(), StoreError> {
        put_home_relay(self.connection, relay)
    }

    fn delete_home_relay(&mut self, relay: &RelayId) -> Result<(), StoreError> {
        run(self.connection, "DELETE FROM home_relays WHERE relay = ?", [relay.as_bytes()])?;
        Ok(())
    }
}

fn account(connection: &Connection) -> Result<Option<Account>, StoreError> {
    let sql = "SELECT name, identity_seed, device_seed, xwing_seed, fallback_prekey, bundle_key, certificate, \
               device_list, keys_made, superseded_seed, superseded_made, linking, fault FROM account";
    one(connection, sql, [], read_account)
}

fn put_account(connection: &Connection, account: &Account) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO account (one, name, identity_seed, device_seed, xwing_seed, \
               fallback_prekey, bundle_key, certificate, device_list, keys_made, superseded_seed, \
               superseded_made, linking, fault) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let superseded = account.superseded.as_ref();
    run(
        connection,
        sql,
        params![
            account.name.as_str(),
            account.identity_seed.as_ref().map(|seed| seed.expose().as_slice()),
            account.device_seed.expose(),
            account.xwing_seed.expose(),
            account.fallback_prekey.as_bytes(),
            account.bundle_key.expose(),
            signed(&account.certificate.signed),
            signed(&account.device_list.signed),
            ms(account.keys_made),
            superseded.map(|key| key.xwing_seed.expose().as_slice()),
            superseded.map(|key| ms(key.made)),
            account.linking.as_ref().map(|key| key.expose().as_slice()),
            account.fault.map(fault_number),
        ],
    )?;
    Ok(())
}

fn read_account(row: &Row<'_>) -> Result<Account, StoreError> {
    Ok(Account {
        name: read_name(row, 0, ACCOUNT)?,
        identity_seed: get_id_opt(row, 1, ACCOUNT)?,
        device_seed: get_id(row, 2, ACCOUNT)?,
        xwing_seed: get_id(row, 3, ACCOUNT)?,
        fallback_prekey: get_id(row, 4, ACCOUNT)?,
        bundle_key: get_id(row, 5, ACCOUNT)?,
        certificate: Certificate::from_stored(get_signed(row, 6, ACCOUNT)?)
            .map_err(|error| damaged(ACCOUNT, error))?,
        device_list: DeviceList::from_stored(get_signed(row, 7, ACCOUNT)?)
            .map_err(|error| damaged(ACCOUNT, error))?,
        keys_made: get_ms(row, 8)?,
        superseded: read_superseded(row)?,
        linking: get_id_opt(row, 11, ACCOUNT)?,
        fault: row.get::<_, Option<i64>>(12)?.map(fault_from).transpose()?,
    })
}

const fn fault_number(fault: Fault) -> i64 {
    match fault {
        Fault::RolledBack => 1,
        Fault::Copied => 2,
    }
}

fn fault_from(number: i64) -> Result<Fault, StoreError> {
    Ok(match number {
        1 => Fault::RolledBack,
        2 => Fault::Copied,
        _ => return Err(damaged(ACCOUNT, format!("unknown fault {number}"))),
    })
}

fn read_superseded(row: &Row<'_>) -> Result<Option<SupersededKey>, StoreError> {
    let Some(xwing_seed) = get_id_opt(row, 9, ACCOUNT)? else { return Ok(None) };
    Ok(Some(SupersededKey { xwing_seed, made: get_ms(row, 10)? }))
}

pub(super) fn read_name(row: &Row<'_>, column: usize, what: &'static str) -> Result<Name, StoreError> {
    let text = row.get_ref(column)?.as_str().map_err(|error| damaged(what, error))?;
    Name::new(text).map_err(|error| damaged(what, error))
}

fn olm_account(connection: &Connection) -> Result<Option<AccountState>, StoreError> {
    one(connection, "SELECT state FROM olm_account", [], |row| {
        get_secret(row, 0, "Olm account").map(AccountState::from_bytes)
    })
}

fn put_olm_account(connection: &Connection, state: &AccountState) -> Result<(), StoreError> {
    run(connection, "INSERT OR REPLACE INTO olm_account (one, state) VALUES (1, ?)", [state.as_bytes()])?;
    Ok(())
}

const SELECT_HOME_RELAY: &str = "SELECT address, priority, mailbox, secret, epoch, generation, locator, \
     bundle_stored, prekey_batch, prekeys_unconfirmed, through_0, ranges_0, through_1, ranges_1, announced, retired, untold, \
     invitation, renewed, lost_due, moved_due FROM home_relays";

fn home_relays(connection: &Connection) -> Result<Vec<HomeRelay>, StoreError> {
    all(connection, &format!("{SELECT_HOME_RELAY} ORDER BY priority, relay"), [], read_home_relay)
}

fn home_relay(connection: &Connection, relay: &RelayId) -> Result<Option<HomeRelay>, StoreError> {
    one(connection, &format!("{SELECT_HOME_RELAY} WHERE relay = ?"), [relay.as_bytes()], read_home_relay)
}

fn put_home_relay(connection: &Connection, relay: &HomeRelay) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO home_relays (relay, address, priority, mailbox, secret, epoch, generation, \
               locator, bundle_stored, prekey_batch, prekeys_unconfirmed, through_0, ranges_0, through_1, \
               ranges_1, announced, retired, untold, invitation, renewed, lost_due, moved_due) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let [messages, acknowledgements] = &relay.received;
    run(
        connection,
        sql,
        params![
            relay.address.relay.as_bytes(),
            relay.address.to_wire().encode_to_vec(),
            relay.priority,
            relay.mailbox.as_bytes(),
            relay.secret.expose(),
            relay.epoch,
            relay.generation.as_ref().map(|generation| generation.as_bytes().as_slice()),
            relay.locator.as_bytes(),
            relay.bundle_stored,
            int(relay.prekey_batch),
            *pack(relay.prekeys_unconfirmed.iter().cloned()),
            int(messages.through),
            *pack_ranges(&messages.ranges),
            int(acknowledgements.through),
            *pack_ranges(&acknowledgements.ranges),
            relay.announced,
            relay.retired.map(|retired| ms(retired.since)),
            relay.retired.map(|retired| ms(retired.untold)),
            relay.invitation.as_ref(),
            relay.renewed.as_ref().map(|handle| handle.as_bytes().as_slice()),
            relay.lost_due.map(ms),
            relay.moved_due.map(ms),
        ],
    )?;
    Ok(())
}

fn read_home_relay(row: &Row<'_>) -> Result<HomeRelay, StoreError> {
    let address = RelayAddress::from_wire(get_message(row, 0, HOME_RELAY)?);
    Ok(HomeRelay {
        address: address.map_err(|error| damaged(HOME_RELAY, error))?,
        priority: row.get(1)?,
        mailbox: get_id(row, 2, HOME_RELAY)?,
        secret: get_id(row, 3, HOME_RELAY)?,
        epoch: row.get(4)?,
        generation: get_id_opt(row, 5, HOME_RELAY)?,
        locator: get_id(row, 6, HOME_RELAY)?,
        bundle_stored: row.get(7)?,
        prekey_batch: get_int(row, 8)?,
        prekeys_unconfirmed: get_packed(row, 9, HOME_RELAY, Ok)?,
        received: [read_received(row, 10)?, read_received(row, 12)?],
        announced: row.get(14)?,
        retired: read_retired(row)?,
        invitation: Bytes::copy_from_slice(
            row.get_ref(17)?.as_blob().map_err(|error| damaged(HOME_RELAY, error))?,
        ),
        renewed: get_id_opt(row, 18, HOME_RELAY)?,
        lost_due: get_ms_opt(row, 19)?,
        moved_due: get_ms_opt(row, 20)?,
    })
}

fn read_retired(row: &Row<'_>) -> Result<Option<Retired>, StoreError> {
    if row.get_ref(15)?.data_type() == Type::Null {
        return Ok(None);
    }
    Ok(Some(Retired { since: get_ms(row, 15)?, untold: get_ms(row, 16)? }))
}

fn read_received(row: &Row<'_>, column: usize) -> Result<Received, StoreError> {
    Ok(Received { through: get_int(row, column)?, ranges: get_ranges(row, column + 1, HOME_RELAY)? })
}
