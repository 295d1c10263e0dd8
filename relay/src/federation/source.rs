//! What leaves for other relays.

mod asking;
mod beating;
mod carrying;
mod excluding;
mod finding;
mod known;
mod lining;
mod seeking;
mod settling;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use undertone_protocol::federation::{Parcel, Waiting};
use undertone_protocol::ids::RelayId;
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::limits::FORWARD_AGE_MAX;
use undertone_protocol::time::Timestamp;

use super::act::{Act, Cx, Event};
use super::answers;
use super::beats::Beats;
use super::link::Link;
use super::outbox;
use super::relays::Relays;
use super::senders::Senders;
use crate::answer::{Failed, Refused};
use crate::conn::ConnId;
use crate::store::owner::{self, Owner};
use crate::store::{Overlay, Store, StoreError};
use known::KnownKeys;
use seeking::Seeking;

/// The machine of what leaves: an outbox for each destination, and a link to each that something waits for.
///
/// Every input goes through [`Source::handle`], or through a question of a client; what it wants done is in [`Cx`],
/// to be done once what it wrote is durable. It is to be given [`Event::Tick`] at [`Source::next_tick`].
#[derive(Debug, Default)]
pub(crate) struct Source {
    links: BTreeMap<RelayId, Link>,
    conns: BTreeMap<ConnId, RelayId>,
    /// Those that wait for a connection, in the order in which they get one.
    line: VecDeque<RelayId>,
    /// Those that are only asked for their keys, and wait behind them.
    key_line: VecDeque<RelayId>,
    keys: KnownKeys,
    relays: Relays,
    beats: Beats,
    seeking: Seeking,
    /// Relays that the operator named, and where.
    peers: BTreeMap<RelayId, Vec<String>>,
    senders: Senders,
    /// What waits for relays that the policy excludes is given up: from which place in their queues on.
    excluded: BTreeMap<RelayId, u64>,
    /// Whether all that something waits for were looked at, after a start or a change of the policy.
    loaded: bool,
    jitter: u64,
}

/// A forward as a client hands it in, form checked.
pub(crate) struct Handed {
    pub(crate) conn: ConnId,
    pub(crate) owner: Owner,
    pub(crate) destination: RelayAddress,
    /// The parcel's exact bytes.
    pub(crate) bytes: Bytes,
    pub(crate) parcel: Parcel,
}

impl Source {
    /// When it next wants a tick.
    pub(crate) fn next_tick(&self) -> Option<Timestamp> {
        if !self.loaded {
            return Some(Timestamp::ZERO);
        }
        let links = self.links.values().filter_map(Link::due);
        links.chain(self.line_due()).chain(self.beats.next_due()).min()
    }

    /// Another policy holds from now on, for what waits as well.
    pub(crate) fn policy_changed(&mut self) {
        self.loaded = false;
    }

    /// The clock was set back by so much: what was to come in a while still does.
    pub(crate) fn set_back(&mut self, by: Duration) {
        self.links.values_mut().for_each(|link| link.set_back(by));
        self.keys.set_back(by);
        self.beats.set_back(by);
        self.seeking.set_back(by);
    }

    /// Whether a connection is one to another relay.
    pub(crate) fn has(&self, conn: ConnId) -> bool {
        self.conns.contains_key(&conn)
    }

    /// A device's connection is over.
    pub(crate) fn left(&mut self, conn: ConnId) {
        self.senders.gone(conn);
    }

    /// Takes one input.
    pub(crate) fn handle<S: Store + ?Sized>(
        &mut self,
        event: Event,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        self.event(event, cx, tx)?;
        self.serve_line(cx, tx)
    }

    fn event<S: Store + ?Sized>(
        &mut self,
        event: Event,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        match event {
            Event::Dialled { relay, conn } => self.dialled(relay, conn, cx, tx),
            Event::DialFailed { relay } if self.links.get(&relay).is_some_and(Link::is_dialling) => {
                self.failed(&relay, Duration::ZERO, cx, tx)
            }
            // It was given up before.
            Event::DialFailed { .. } => Ok(()),
            Event::Found { record } => self.found(record, cx, tx),
            Event::Frame { conn, frame } => self.frame(conn, frame, cx, tx),
            Event::Gone { conn } => self.gone(conn, cx, tx),
            Event::Greeted { conn, owner } if owner::holdings(tx, owner.as_bytes())?.forwards > 0 => {
                self.senders.arrive(owner, conn, cx, tx)
            }
            Event::Greeted { .. } => Ok(()),
            Event::Taken { owner, forwards } => {
                for forward in &forwards {
                    answers::remove(tx, &owner, forward)?;
                }
                self.senders.taken(&owner, &forwards, cx, tx)
            }
            Event::Tick => self.tick(cx, tx),
        }
    }

    /// Takes a forward; the same again gets the same answer.
    pub(crate) fn take<S: Store + ?Sized>(
        &mut self,
        handed: &Handed,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<Waiting, Failed> {
        let (id, relay) = (handed.parcel.forward_id, handed.destination.relay);
        if let Some(known) = outbox::forward(tx, &id)? {
            if known.owner()? != handed.owner || !known.is_for(&relay) {
                return Err(Refused::malformed("another forward has this id").into());
            }
            return Ok(Waiting { forward_id: id, until: known.until() });
        }
        if let Some(until) = answers::until(tx, &handed.owner, &id)? {
            return Ok(Waiting { forward_id: id, until });
        }
        let until = self.admit(handed, cx, tx)?;
        let addresses = &handed.destination.addresses;
        let new =
            outbox::New { id, relay, addresses, owner: handed.owner, until, parcel: handed.bytes.clone() };
        outbox::add(tx, new, cx.limits)?;
        cx.metrics.forwards_taken += 1;
        Ok(Waiting { forward_id: id, until })
    }

    /// What follows from a forward, behind its answer.
    pub(crate) fn taken<S: Store + ?Sized>(
        &mut self,
        handed: &Handed,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        self.senders.arrive(handed.owner, handed.conn, cx, tx)?;
        if answers::get(tx, &handed.owner, &handed.parcel.forward_id)?.is_some() {
            return self.senders.again(&handed.owner, handed.parcel.forward_id, cx, tx);
        }
        self.pump(&handed.destination.relay, cx, tx)?;
        self.serve_line(cx, tx)
    }

    /// Until when it waits, if it may.
    fn admit<S: Store + ?Sized>(
        &mut self,
        handed: &Handed,
        cx: &Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<Timestamp, Failed> {
        let wait = cx.limits.full_retry_after_ms;
        if handed.parcel.not_after <= cx.now {
            return Err(Refused::malformed("a forward whose time is over").into());
        }
        let holdings = owner::holdings(tx, handed.owner.as_bytes())?;
        if holdings.forwards >= cx.limits.forwards_per_device_max {
            return Err(Refused::retry_after("forwards_per_device_max", wait).into());
        }
        if !self.has_room_for(&handed.destination.relay, cx.limits.destinations_max) {
            return Err(Refused::retry_after("destinations_max", wait).into());
        }
        let age = Duration::from_millis(cx.limits.forward_age_ms_max).min(FORWARD_AGE_MAX);
        Ok(handed.parcel.not_after.min(cx.now.after(age)))
    }

    /// Whether there may be a link to one more relay. Those that are only remembered make room.
    fn has_room_for(&mut self, relay: &RelayId, max: usize) -> bool {
        if !self.links.contains_key(relay) && self.links.len() >= max {
            self.links.retain(|_, link| !link.is_needless(None));
        }
        self.links.contains_key(relay) || self.links.len() < max
    }

    fn link(&mut self, relay: RelayId, cx: &mut Cx<'_>) -> &mut Link {
        self.links.entry(relay).or_insert_with(|| {
            if self.jitter == 0 {
                self.jitter = cx.rng.next_u64();
            }
            self.jitter = self.jitter.wrapping_add(1);
            Link::new(cx.now, self.jitter)
        })
    }

    fn tick<S: Store + ?Sized>(
        &mut self,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        if !self.loaded {
            self.loaded = true;
            self.load(cx, tx)?;
        }
        let is_due = |link: &Link| link.due().is_some_and(|due| due <= cx.now);
        let due: Vec<RelayId> =
            self.links.iter().filter(|(_, link)| is_due(link)).map(|(relay, _)| *relay).collect();
        for relay in due {
            let Some(link) = self.links.get_mut(&relay) else { continue };
            if link.is_late(cx.now) {
                self.failed(&relay, Duration::ZERO, cx, tx)?;
            } else if link.is_idle(cx.now) {
                self.close(&relay, cx);
            } else {
                self.pump(&relay, cx, tx)?;
            }
        }
        self.beat(cx, tx)?;
        self.announce_to_finder(cx, tx)?;
        let now = cx.now;
        self.links.retain(|_, link| !link.is_needless(Some(now)));
        self.keys.forget_ended(now);
        Ok(())
    }

    /// Looks at all that something waits for.
    fn load<S: Store + ?Sized>(
        &mut self,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        self.excluded.clear();
        self.relays.load(&RelayId::new(cx.key.verifying_key().to_bytes()), tx)?;
        self.follow_all(cx);
        for relay in outbox::destinations(tx)? {
            if cx.policy.allows(&relay) {
                self.pump(&relay, cx, tx)?;
            } else {
                self.exclude(relay, cx);
            }
        }
        Ok(())
    }

    fn close(&mut self, relay: &RelayId, cx: &mut Cx<'_>) {
        self.beats.put_off(relay, Duration::from_millis(cx.limits.heartbeat_ms), cx.now, cx.rng);
        let Some(link) = self.links.get_mut(relay) else { return };
        link.beat_wanted = false;
        if let Some(conn) = link.up().map(|up| up.conn) {
            self.conns.remove(&conn);
            cx.acts.push(Act::Close { conn });
        }
        link.ended(cx.now);
    }
}
