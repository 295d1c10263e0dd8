//! Kademlia among relays: where one is that can't be reached where it was (`spec/federation.md`, "Finding relays").
//!
//! What is kept and found under a relay's id is its record, which it signed: so nobody who keeps it or passes it on can
//! change it, and an older one never takes the place of a newer one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::kad::store::{Error as Refused, RecordStore};
use libp2p::kad::{
    self, KBucketDistance, KBucketKey, ProviderRecord, QueryId, QueryResult, Quorum, RecordKey,
};
use libp2p::swarm::StreamProtocol;
use libp2p::{Multiaddr, PeerId};
use prost::Message;
use undertone_protocol::codec::Signed;
use undertone_protocol::federation::RelayRecord;
use undertone_protocol::ids::RelayId;
use undertone_protocol::limits::RELAY_RECORD_BYTES_MAX;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;

use crate::address::Address;
use crate::identity::{Identity, relay_peer};

/// What is spoken on the streams.
const NAME: StreamProtocol = StreamProtocol::new("/undertone/kad/1");
/// Records that are kept for others; those of relays whose keys are far from this one's make room.
const RECORDS_MAX: usize = 4_096;
/// A record as it is kept: signed.
const VALUE_BYTES_MAX: usize = RELAY_RECORD_BYTES_MAX + 128;
/// A message: twenty relays with their addresses.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
const QUERY_WAIT_MAX: Duration = Duration::from_secs(30);
const PUBLISHED_EVERY: Duration = Duration::from_secs(3_600);
/// Questions to others that are under way.
const QUERIES_MAX: usize = 32;
/// Of them, those that devices ask.
const DEVICES_QUERIES_MAX: usize = QUERIES_MAX / 2;

/// What takes part in finding relays.
#[derive(Debug, Clone, Copy)]
pub struct FinderOptions {
    /// The time by which records end.
    pub now: fn() -> Timestamp,
}

/// What a listener is told of other relays, or asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Find {
    /// A relay is there, and may know others.
    Known {
        /// Which.
        relay: RelayId,
        /// Where; what can't be dialled is passed over.
        addresses: Vec<String>,
    },
    /// This relay's record, for others to keep.
    Announced {
        /// Its own, signed.
        record: wire::Signed,
    },
    /// Where is it? What is found comes as [`crate::ServerEvent::Found`]; nothing, if nothing is.
    Sought {
        /// Which.
        relay: RelayId,
        /// Whether a device asks, and nothing waits for it: that has a part of the room alone.
        for_device: bool,
    },
}

pub(crate) type Kademlia = kad::Behaviour<Records>;

/// For a listener that takes part.
pub(crate) fn kademlia(identity: &Identity, options: FinderOptions) -> Kademlia {
    let own = identity.keypair().public().to_peer_id();
    let mut config = kad::Config::new(NAME);
    config
        .set_query_timeout(QUERY_WAIT_MAX)
        .set_publication_interval(Some(PUBLISHED_EVERY))
        .set_provider_publication_interval(None)
        .set_caching(kad::Caching::Disabled)
        .set_max_packet_size(MESSAGE_BYTES_MAX);
    let mut kademlia = Kademlia::with_config(own, Records::new(own, options.now), config);
    kademlia.set_mode(Some(kad::Mode::Server));
    kademlia
}

/// What this relay does there.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    own: Option<kad::Record>,
    publishing: Option<QueryId>,
    /// What is looked for because devices ask.
    for_devices: Vec<QueryId>,
    /// Whether somebody became known while it was published.
    again: bool,
}

impl Finder {
    pub(crate) fn find(&mut self, find: Find, kademlia: &mut Kademlia) {
        match find {
            Find::Known { relay, addresses } => {
                let Ok(peer) = relay_peer(&relay) else { return };
                let addresses = addresses.iter().filter_map(|text| text.parse::<Address>().ok());
                let addresses: Vec<Multiaddr> =
                    addresses.map(|address| address.multiaddr().clone()).collect();
                // Where it was counts no more.
                kademlia.remove_peer(&peer);
                for address in addresses {
                    kademlia.add_address(&peer, address);
                }
            }
            Find::Announced { record } => {
                if let Some(read) = read(&record) {
                    let key = RecordKey::new(read.address.relay.as_bytes());
                    self.own = Some(kad::Record::new(key, record.encode_to_vec()));
                    self.publish(kademlia);
                }
            }
            Find::Sought { relay, for_device } => self.seek(&relay, for_device, kademlia),
        }
    }

    fn seek(&mut self, relay: &RelayId, for_device: bool, kademlia: &mut Kademlia) {
        self.for_devices.retain(|query| kademlia.query(query).is_some());
        let may = !for_device || self.for_devices.len() < DEVICES_QUERIES_MAX;
        if may && kademlia.iter_queries().count() < QUERIES_MAX {
            let query = kademlia.get_record(RecordKey::new(relay.as_bytes()));
            self.for_devices.extend(for_device.then_some(query));
        }
    }

    /// What was found.
    pub(crate) fn happened(&mut self, event: kad::Event, kademlia: &mut Kademlia) -> Option<wire::Signed> {
        match event {
            kad::Event::OutboundQueryProgressed {
                result: QueryResult::GetRecord(Ok(kad::GetRecordOk::FoundRecord(found))),
                ..
            } => return decode(&found.record.value),
            kad::Event::OutboundQueryProgressed { id, .. } if self.publishing == Some(id) => {
                self.publishing = None;
                if std::mem::take(&mut self.again) {
                    self.publish(kademlia);
                }
            }
            // Whoever is new may be one of those that keep it.
            kad::Event::RoutingUpdated { is_new_peer: true, .. } => self.publish(kademlia),
            _ => {}
        }
        None
    }

    fn publish(&mut self, kademlia: &mut Kademlia) {
        if self.publishing.is_some() {
            self.again = true;
        } else if let Some(own) = &self.own {
            // What the store does not take is nothing to publish: a clock was set back.
            self.publishing = kademlia.put_record(own.clone(), Quorum::One).ok();
        }
    }
}

fn decode(value: &[u8]) -> Option<wire::Signed> {
    (value.len() <= VALUE_BYTES_MAX).then(|| wire::Signed::decode(value).ok())?
}

fn read(record: &wire::Signed) -> Option<RelayRecord> {
    RelayRecord::verify(Signed::from_wire(record.clone()).ok()?).ok()
}

/// Records that are kept: each the newest of its relay, under that relay's id, and signed by it. Nothing else is.
pub(crate) struct Records {
    own: KBucketKey<PeerId>,
    now: fn() -> Timestamp,
    kept: BTreeMap<RelayId, Kept>,
}

struct Kept {
    record: kad::Record,
    read: RelayRecord,
    distance: KBucketDistance,
}

impl Records {
    fn new(own: PeerId, now: fn() -> Timestamp) -> Self {
        Self { own: KBucketKey::from(own), now, kept: BTreeMap::new() }
    }

    /// Whether there is room for one that is so far from this relay.
    fn make_room(&mut self, distance: KBucketDistance, now: Timestamp) -> bool {
        if self.kept.len() >= RECORDS_MAX {
            self.kept.retain(|_, kept| kept.read.is_current(now));
        }
        if self.kept.len() < RECORDS_MAX {
            return true;
        }
        let farthest = self.kept.iter().max_by_key(|(_, kept)| kept.distance);
        let farthest = farthest.filter(|(_, kept)| kept.distance > distance).map(|(relay, _)| *relay);
        farthest.is_some_and(|relay| self.kept.remove(&relay).is_some())
    }
}

impl RecordStore for Records {
    type RecordsIter<'a> = std::vec::IntoIter<Cow<'a, kad::Record>>;
    type ProvidedIter<'a> = std::iter::Empty<Cow<'a, ProviderRecord>>;

    fn get(&self, key: &RecordKey) -> Option<Cow<'_, kad::Record>> {
        let kept = self.kept.get(&RelayId::from_slice(key.as_ref()).ok()?)?;
        kept.read.is_current((self.now)()).then_some(Cow::Borrowed(&kept.record))
    }

    fn put(&mut self, record: kad::Record) -> Result<(), Refused> {
        let now = (self.now)();
        let read = decode(&record.value).and_then(|signed| read(&signed));
        let read = read.filter(|read| record.key.as_ref() == read.address.relay.as_bytes().as_slice());
        // The library knows no better word for what is none.
        let Some(read) = read else { return Err(Refused::ValueTooLarge) };
        let relay = read.address.relay;
        let known = self.kept.get(&relay).map(|kept| &kept.read);
        let is_own = record.publisher.as_ref() == Some(self.own.preimage());
        let is_same = known.is_some_and(|known| known.signed == read.signed);
        if is_same && !is_own {
            // What stands around a record is nobody's word: the same again changes nothing.
            return Ok(());
        }
        if !is_same && !read.is_newer_than(known, now) {
            return Err(Refused::ValueTooLarge);
        }
        let distance = self.own.distance(&KBucketKey::new(record.key.clone()));
        if known.is_none() && !self.make_room(distance, now) {
            return Err(Refused::MaxRecords);
        }
        // It ends when its relay says so, whatever whoever brings it says.
        let record = kad::Record { expires: None, publisher: record.publisher.filter(|_| is_own), ..record };
        self.kept.insert(relay, Kept { record, read, distance });
        Ok(())
    }

    fn remove(&mut self, key: &RecordKey) {
        if let Ok(relay) = RelayId::from_slice(key.as_ref()) {
            self.kept.remove(&relay);
        }
    }

    fn records(&self) -> Self::RecordsIter<'_> {
        let now = (self.now)();
        let current = self.kept.values().filter(|kept| kept.read.is_current(now));
        let records: Vec<_> = current.map(|kept| Cow::Borrowed(&kept.record)).collect();
        records.into_iter()
    }

    fn add_provider(&mut self, _: ProviderRecord) -> Result<(), Refused> {
        Err(Refused::MaxProvidedKeys)
    }

    fn providers(&self, _: &RecordKey) -> Vec<ProviderRecord> {
        Vec::new()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        std::iter::empty()
    }

    fn remove_provider(&mut self, _: &RecordKey, _: &PeerId) {}
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ed25519_dalek::SigningKey;
    use undertone_protocol::ids::Secret;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

    fn records() -> Records {
        Records::new(PeerId::random(), || NOW)
    }

    fn signed(number: u16, port: u16, issued: Timestamp) -> RelayRecord {
        let mut seed = [7; 32];
        seed[..2].copy_from_slice(&number.to_be_bytes());
        let addresses = vec![format!("/ip4/192.0.2.1/tcp/{port}")];
        RelayRecord::issue(&SigningKey::from_bytes(&seed), addresses, issued).unwrap()
    }

    fn value(read: &RelayRecord) -> kad::Record {
        let key = RecordKey::new(read.address.relay.as_bytes());
        kad::Record::new(key, read.signed.to_wire().encode_to_vec())
    }

    #[test]
    fn the_newest_of_each_relay_is_kept() {
        let mut records = records();
        let later = NOW.after(Duration::from_secs(1));
        let (old, new) = (value(&signed(1, 1, NOW)), value(&signed(1, 2, later)));
        assert!(records.put(old.clone()).is_ok());
        assert!(records.put(new.clone()).is_ok() && records.put(new.clone()).is_ok());
        assert!(records.put(old).is_err(), "an older one takes no newer one's place");
        assert_eq!(records.get(&new.key).unwrap().value, new.value);
        assert_eq!(records.records().count(), 1);
    }

    #[test]
    fn whoever_puts_the_same_again_changes_nothing_of_it() {
        let mut records = records();
        let own = *records.own.preimage();
        let good = value(&signed(1, 1, NOW));
        let ends = |secs| Some(Instant::now() + Duration::from_secs(secs));
        for (publisher, expires) in [(Some(PeerId::random()), ends(1)), (None, ends(0)), (None, None)] {
            assert!(records.put(kad::Record { publisher, expires, ..good.clone() }).is_ok());
            let kept = records.get(&good.key).unwrap();
            assert_eq!((kept.expires, kept.publisher), (None, None));
        }
        let published = kad::Record { publisher: Some(own), expires: ends(9), ..good.clone() };
        assert!(records.put(published).is_ok(), "this relay's own, which others had brought");
        assert!(records.put(good.clone()).is_ok());
        let kept = records.get(&good.key).unwrap();
        assert_eq!((kept.expires, kept.publisher), (None, Some(own)));
    }

    #[test]
    fn what_devices_ask_leaves_room_for_what_waits() {
        let identity = Identity::from_secret(&Secret::new([1; 32]));
        let mut kademlia = kademlia(&identity, FinderOptions { now: || NOW });
        let mut finder = Finder::default();
        // It knows somebody, or each search would be over at once.
        let known = Identity::from_secret(&Secret::new([2; 32])).relay_id();
        let addresses = vec!["/ip4/192.0.2.1/tcp/1".to_owned()];
        finder.find(Find::Known { relay: known, addresses }, &mut kademlia);
        let mut seek = |number: usize, for_device| {
            let relay = RelayId::new([u8::try_from(number).unwrap(); 32]);
            finder.find(Find::Sought { relay, for_device }, &mut kademlia);
            kademlia.iter_queries().count()
        };
        let before = seek(1, true) - 1;
        (2..50).for_each(|number| _ = seek(number, true));
        assert_eq!(seek(50, true), before + DEVICES_QUERIES_MAX);
        (51..100).for_each(|number| _ = seek(number, false));
        assert_eq!(seek(100, false), QUERIES_MAX);
    }

    #[test]
    fn what_no_relay_signed_is_not_kept() {
        let mut records = records();
        let good = value(&signed(1, 1, NOW));
        let other = value(&signed(2, 1, NOW)).key;
        assert!(records.put(kad::Record { key: other, ..good.clone() }).is_err(), "under another id");
        let mut forged = good.clone();
        *forged.value.last_mut().unwrap() ^= 1;
        assert!(records.put(forged).is_err());
        let long = [good.value.as_slice(), &[0xfa, 0x01, 0xff, 0x7f], &[0; 16_383]].concat();
        assert!(records.put(kad::Record { value: long, ..good.clone() }).is_err(), "too large");
        let ended = value(&signed(1, 1, NOW.before(Duration::from_secs(31 * 86_400))));
        assert!(records.put(ended).is_err());
        assert!(records.put(good).is_ok());
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_nearest_stay() {
        let mut records = records();
        for number in 0..u16::try_from(RECORDS_MAX + 50).unwrap() {
            let _ = records.put(value(&signed(number, 1, NOW)));
        }
        assert_eq!(records.kept.len(), RECORDS_MAX);
        let farthest = records.kept.values().map(|kept| kept.distance).max().unwrap();
        for number in 0..u16::try_from(RECORDS_MAX + 50).unwrap() {
            let value = value(&signed(number, 1, NOW));
            let distance = records.own.distance(&KBucketKey::new(value.key.clone()));
            assert_eq!(records.get(&value.key).is_some(), distance <= farthest);
        }
    }
}
