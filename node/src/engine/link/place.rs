//! Where a relay is called.

use undertone_protocol::keys::RelayAddress;
use undertone_protocol::limits::RELAY_ADDRESSES_MAX;

/// The addresses of a relay, by what this device or anybody else says of it.
#[derive(Debug)]
pub(super) struct Place {
    address: RelayAddress,
    /// So many of the addresses, the first ones, were called.
    called: usize,
}

impl Place {
    pub(super) const fn new(address: RelayAddress) -> Self {
        Self { address, called: 0 }
    }

    pub(super) const fn get(&self) -> &RelayAddress {
        &self.address
    }

    /// It is called at all of these now.
    pub(super) fn call(&mut self) -> Vec<String> {
        self.called = self.address.addresses.len();
        self.address.addresses.clone()
    }

    /// It is at these from now on. False where that is known.
    pub(super) fn is_at(&mut self, address: &RelayAddress) -> bool {
        let is_news = self.address != *address;
        if is_news {
            *self = Self::new(address.clone());
        }
        is_news
    }

    /// It was called in vain, and may be at these, too. Where they are too many those go first that were called the longest
    /// ago: who names a relay where nobody is must not keep it from those who know where it is.
    pub(super) fn learn(&mut self, address: &RelayAddress) {
        let known = &mut self.address.addresses;
        let unknown: Vec<&String> = address.addresses.iter().filter(|one| !known.contains(one)).collect();
        let room = RELAY_ADDRESSES_MAX.saturating_sub(known.len());
        let go = unknown.len().saturating_sub(room).min(self.called);
        known.drain(..go.min(known.len()));
        self.called -= go;
        known.extend(unknown.into_iter().cloned());
        known.truncate(RELAY_ADDRESSES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use undertone_protocol::ids::RelayId;

    use super::*;

    fn at(ports: impl IntoIterator<Item = usize>) -> RelayAddress {
        let addresses = ports.into_iter().map(|port| format!("/ip4/127.0.0.1/tcp/{port}")).collect();
        RelayAddress { relay: RelayId::new([1; 32]), addresses }
    }

    #[test]
    fn what_others_say_is_added_once() {
        let mut place = Place::new(at([1]));
        place.learn(&at([2, 1]));
        place.learn(&at([2]));
        assert_eq!(*place.get(), at([1, 2]));
    }

    #[test]
    fn of_too_many_all_have_their_turn() {
        let mut place = Place::new(at(1..=RELAY_ADDRESSES_MAX));
        // None of these was called yet.
        place.learn(&at([100]));
        assert_eq!(*place.get(), at(1..=RELAY_ADDRESSES_MAX));
        place.call();
        place.learn(&at([100]));
        assert_eq!(place.call(), at((2..=RELAY_ADDRESSES_MAX).chain([100])).addresses);
        place.learn(&at(1..=RELAY_ADDRESSES_MAX));
        assert!(
            place.get().addresses.len() == RELAY_ADDRESSES_MAX
                && place.get().addresses.contains(&at([1]).addresses[0])
        );
    }
}
