use undertone_protocol::crypto::AccountState;
use undertone_protocol::ids::RelayId;
use undertone_protocol::time::Timestamp;

use super::table::all;
use super::tables::Tables;
use crate::store::{Account, AccountTx, HomeRelay, StoreError};

impl AccountTx for Tables {
    fn account(&self) -> Result<Option<Account>, StoreError> {
        Ok(self.account.get(&()).cloned())
    }

    fn put_account(&mut self, account: &Account) -> Result<(), StoreError> {
        self.account.put((), account.clone());
        Ok(())
    }

    fn olm_account(&self) -> Result<Option<AccountState>, StoreError> {
        Ok(self.olm_account.get(&()).cloned())
    }

    fn put_olm_account(&mut self, state: &AccountState) -> Result<(), StoreError> {
        self.olm_account.put((), state.clone());
        Ok(())
    }

    fn introduced(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.introduced.get(&()).copied())
    }

    fn put_introduced(&mut self, issued: Timestamp) -> Result<(), StoreError> {
        self.introduced.put((), issued);
        Ok(())
    }

    fn home_relays(&self) -> Result<Vec<HomeRelay>, StoreError> {
        let mut relays = all(self.home_relays.iter());
        relays.sort_by_key(|relay| (relay.priority, relay.address.relay));
        Ok(relays)
    }

    fn home_relay(&self, relay: &RelayId) -> Result<Option<HomeRelay>, StoreError> {
        Ok(self.home_relays.get(relay).cloned())
    }

    fn put_home_relay(&mut self, relay: &HomeRelay) -> Result<(), StoreError> {
        self.home_relays.put(relay.address.relay, relay.clone());
        Ok(())
    }

    fn delete_home_relay(&mut self, relay: &RelayId) -> Result<(), StoreError> {
        self.home_relays.remove(relay);
        Ok(())
    }
}
