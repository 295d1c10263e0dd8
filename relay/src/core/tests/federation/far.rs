use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use undertone_protocol::codec::Signed;
use undertone_protocol::federation::{Parcel, ParcelItem, RelayRecord, RoutingKey, RoutingSecret};
use undertone_protocol::ids::{PayloadHash, PublishId, RelayId, Secret};
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, DeclinedCode, Frame, frame::Body};

use super::super::world::{device, register};
use super::world::{DAY, SENDER, Side};
use crate::core::{ConnId, Finding, Input, Output};
use crate::limits::Limits;
use crate::metrics::DestinationHealth;
use crate::store::Overlay;

/// How a relay far away answers a parcel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    Decides,
    IsSilent,
    Declines(DeclinedCode, u64),
    /// It can't read which parcel it declines.
    DeclinesUnnamed(DeclinedCode),
}

/// One relay with a device that hands in, and others far away that say what they are told to.
pub(super) struct Far {
    pub(super) near: Side,
    pub(super) now: Timestamp,
    /// What is said to each greeting: `Welcome`, unless it is told otherwise.
    pub(super) greeting: Option<Body>,
    pub(super) manner: BTreeMap<u8, Manner>,
    /// When the routing keys of those far away were made.
    pub(super) keys_issued: Timestamp,
    pub(super) reachable: bool,
    /// Those from whom nothing is heard, not even that they are not there.
    pub(super) black_holes: BTreeSet<u8>,
    /// Whether they answer heartbeats.
    pub(super) answers_beats: bool,
    /// Heartbeats that came to them.
    pub(super) beats: Vec<(Timestamp, u8)>,
    /// Who was called, in order, and where.
    pub(super) dials: Vec<(Timestamp, u8)>,
    pub(super) dialled_at: Vec<Vec<String>>,
    /// What was said to those far away of where the near one is.
    pub(super) told: Vec<RelayRecord>,
    /// What whoever finds relays was told, and asked.
    pub(super) finder: Vec<Finding>,
    /// Which parcel was carried to whom.
    pub(super) carried: Vec<(u8, PublishId)>,
    pub(super) carried_bytes: usize,
    /// How often each was asked for its key.
    pub(super) asked: BTreeMap<u8, u32>,
    up: BTreeMap<ConnId, u8>,
    conns: u64,
    forwards: u64,
}

fn key(number: u8) -> SigningKey {
    let mut seed = [200; 32];
    seed[0] = number;
    SigningKey::from_bytes(&seed)
}

pub(super) fn id(number: u8) -> RelayId {
    RelayId::new(key(number).verifying_key().to_bytes())
}

fn number(relay: &RelayId) -> u8 {
    (0..=255).find(|number| id(*number) == *relay).unwrap()
}

pub(super) fn address(number: u8) -> wire::RelayAddress {
    wire::RelayAddress { relay: id(number).to_wire(), addresses: vec!["/ip4/192.0.2.1/tcp/1".to_owned()] }
}

impl Far {
    pub(super) fn with(limits: Limits) -> Self {
        let limits = Limits { silence_ms_max: u64::MAX / 4, ..limits };
        let now = Timestamp::from_ms(1_700_000_000_000);
        let mut far = Self {
            near: Side::new(5, limits),
            now,
            greeting: Some(Body::Welcome(wire::Welcome { version: 1, now_ms: 0, record: None })),
            manner: BTreeMap::new(),
            keys_issued: now,
            reachable: true,
            black_holes: BTreeSet::new(),
            answers_beats: true,
            beats: Vec::new(),
            dials: Vec::new(),
            dialled_at: Vec::new(),
            told: Vec::new(),
            finder: Vec::new(),
            carried: Vec::new(),
            carried_bytes: 0,
            asked: BTreeMap::new(),
            up: BTreeMap::new(),
            conns: 1_000,
            forwards: 0,
        };
        far.input(Input::Connected { conn: SENDER, device: device(1) });
        far.tell(Body::Hello(wire::Hello { version_min: 1, version_max: 1 }));
        far.tell(register(9, 1));
        far.said();
        far
    }

    pub(super) fn tell(&mut self, body: Body) {
        self.tell_as(SENDER, body);
    }

    /// A device says something on its connection.
    pub(super) fn tell_as(&mut self, conn: ConnId, body: Body) {
        self.input(Input::Frame { conn, frame: Frame { request: 7, body: Some(body) } });
    }

    /// One more device, with a mailbox of its own.
    pub(super) fn add_device(&mut self, number: u8) -> ConnId {
        let conn = ConnId::new(u64::from(number));
        self.input(Input::Connected { conn, device: device(number) });
        self.tell_as(conn, Body::Hello(wire::Hello { version_min: 1, version_max: 1 }));
        self.tell_as(conn, register(number, 1));
        self.said();
        conn
    }

    pub(super) fn said(&mut self) -> Vec<Body> {
        std::mem::take(&mut self.near.said).into_iter().filter_map(|(_, frame)| frame.body).collect()
    }

    /// Hands in a parcel of about so many bytes.
    pub(super) fn forward(&mut self, to: u8, bytes: usize) -> PublishId {
        self.forwards += 1;
        let mut forward_id = [0; 16];
        forward_id[..8].copy_from_slice(&self.forwards.to_be_bytes());
        let forward_id = PublishId::new(forward_id);
        self.hand_in(forward_id, to, bytes);
        forward_id
    }

    /// The same, under this id.
    pub(super) fn hand_in(&mut self, forward_id: PublishId, to: u8, bytes: usize) {
        self.hand_in_as(SENDER, forward_id, to, bytes);
    }

    /// A device hands in a parcel.
    pub(super) fn hand_in_as(&mut self, conn: ConnId, forward_id: PublishId, to: u8, bytes: usize) {
        let payload = Bytes::from_static(b"hi");
        let (hash, expiry) = (PayloadHash::of(&payload), self.now.after(DAY));
        let parcel = Parcel {
            forward_id,
            routing_key: [3; 8],
            enc: [4; 32],
            counter: self.forwards,
            not_after: self.now.after(2 * DAY),
            route: vec![0; bytes].into(),
            items: vec![ParcelItem { payload, hash, class: 0, expiry }],
        };
        let forward = wire::Forward { destination: Some(address(to)), parcel: parcel.encode() };
        self.tell_as(conn, Body::Forward(forward));
    }

    /// A device hands in a parcel after the near relay's restart.
    pub(super) fn forward_as_new_device(&mut self, to: u8) {
        self.input(Input::Connected { conn: SENDER, device: device(1) });
        self.tell(Body::Hello(wire::Hello { version_min: 1, version_max: 1 }));
        self.forward(to, 10);
    }

    pub(super) fn ask_key(&mut self, of: u8) -> Option<RoutingKey> {
        self.said();
        self.tell(Body::GetRoutingKey(wire::GetRoutingKey { relay: Some(address(of)) }));
        match self.said().pop() {
            Some(Body::RoutingKey(answer)) => {
                let signed = Signed::from_wire(answer.key.unwrap()).unwrap();
                Some(RoutingKey::verify(signed, &id(of)).unwrap())
            }
            Some(Body::Refusal(refusal)) => {
                assert_eq!(refusal.code(), wire::RefusalCode::RetryAfter);
                None
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for output in self.near.step(input, self.now) {
                inputs.extend(self.out(output));
            }
        }
    }

    fn out(&mut self, output: Output) -> Vec<Input> {
        match output {
            Output::Dial { relay, addresses } => {
                self.dialled_at.push(addresses);
                self.dial(relay)
            }
            Output::Find(finding) => {
                self.finder.push(finding);
                Vec::new()
            }
            Output::Close { conn } => {
                self.up.remove(&conn);
                Vec::new()
            }
            Output::Send { conn, frame } => match self.up.get(&conn).copied() {
                Some(to) => {
                    let said = self.answers(to, frame);
                    said.into_iter().map(|frame| Input::Frame { conn, frame }).collect()
                }
                None => {
                    self.near.said.push((conn, frame));
                    Vec::new()
                }
            },
        }
    }

    fn dial(&mut self, relay: RelayId) -> Vec<Input> {
        self.dials.push((self.now, number(&relay)));
        if self.black_holes.contains(&number(&relay)) {
            return Vec::new();
        }
        if !self.reachable {
            return vec![Input::DialFailed { relay }];
        }
        self.conns += 1;
        let conn = ConnId::new(self.conns);
        self.up.insert(conn, number(&relay));
        vec![Input::Dialled { relay, conn }]
    }

    fn answers(&mut self, to: u8, frame: Frame) -> Vec<Frame> {
        let request = frame.request;
        let answer = |body| Frame { request, body: Some(body) };
        match frame.body {
            Some(Body::Hello(_)) => self.greeting.clone().map(answer).into_iter().collect(),
            Some(Body::GetRoutingKey(_)) => {
                *self.asked.entry(to).or_default() += 1;
                let secret = RoutingSecret::from_secret(Secret::new([1; 32])).unwrap();
                let signed = RoutingKey::issue(&key(to), &secret, self.keys_issued).signed.to_wire();
                vec![answer(Body::RoutingKey(wire::RoutingKeyAnswer { key: Some(signed) }))]
            }
            Some(Body::Carry(carry)) => {
                carry.parcels.iter().filter_map(|parcel| self.decide(to, parcel)).map(answer).collect()
            }
            Some(Body::Ping(ping)) => {
                self.beats.push((self.now, to));
                let pong = Body::Pong(wire::Pong { nonce: ping.nonce });
                self.answers_beats.then(|| answer(pong)).into_iter().collect()
            }
            // They are of an earlier version.
            Some(Body::RelayAt(at)) => {
                let signed = Signed::from_wire(at.record.unwrap()).unwrap();
                self.told.push(RelayRecord::verify(signed).unwrap());
                let code = wire::RefusalCode::Malformed.into();
                let text = "this relay does not know such a request".to_owned();
                vec![answer(Body::Refusal(wire::Refusal { code, text, retry_after_ms: 0 }))]
            }
            other => panic!("{other:?}"),
        }
    }

    fn decide(&mut self, to: u8, bytes: &Bytes) -> Option<Body> {
        let id = Parcel::read(bytes).unwrap().forward_id;
        self.carried.push((to, id));
        self.carried_bytes += bytes.len();
        let declined = |forward_id, code: DeclinedCode, retry_after_ms| {
            Some(Body::Declined(wire::Declined { forward_id, code: code.into(), retry_after_ms }))
        };
        match self.manner.get(&to).copied().unwrap_or(Manner::Decides) {
            Manner::IsSilent => None,
            Manner::Declines(code, wait) => declined(id.to_wire(), code, wait),
            Manner::DeclinesUnnamed(code) => declined(Bytes::new(), code, 0),
            Manner::Decides => {
                let (salt, answer) = (Bytes::from_static(&[0; 16]), Bytes::from_static(b"sealed"));
                Some(Body::Forwarded(wire::Forwarded { forward_id: id.to_wire(), salt, answer }))
            }
        }
    }

    /// Those far away end their connections, and say why.
    pub(super) fn cut(&mut self, last: Option<Body>) {
        for conn in std::mem::take(&mut self.up).into_keys() {
            if last.is_some() {
                self.input(Input::Frame { conn, frame: Frame { request: 0, body: last.clone() } });
            }
            self.input(Input::Disconnected { conn });
        }
    }

    /// One of those far away says something by itself.
    pub(super) fn say_as(&mut self, from: u8, body: Body) {
        let conn = self.up.iter().find(|(_, number)| **number == from).map(|(conn, _)| *conn);
        if let Some(conn) = conn {
            self.input(Input::Frame { conn, frame: Frame { request: 0, body: Some(body) } });
        }
    }

    /// For longer than a turn there is always one more on its way to one of those far away, which is silent, behind the
    /// `first`, and each is answered in time. What comes beside that happens once a second.
    pub(super) fn keep_busy(&mut self, to: u8, first: PublishId, beside: impl Fn(&mut Self)) {
        let mut oldest = first;
        for _ in 0..25 {
            let more = self.forward(to, 10);
            let (forward_id, salt) = (oldest.to_wire(), vec![0; 16].into());
            let answer = Bytes::from_static(b"sealed");
            self.say_as(to, Body::Forwarded(wire::Forwarded { forward_id, salt, answer }));
            oldest = more;
            beside(self);
            self.pass(Duration::from_secs(1));
        }
    }

    /// One of those far away calls, and says where it is; what it is told.
    pub(super) fn call_from(&mut self, from: u8, said: &RelayRecord) -> Vec<Body> {
        self.conns += 1;
        let conn = ConnId::new(self.conns);
        self.input(Input::RelayConnected { conn, relay: id(from) });
        let hello = Body::Hello(wire::Hello { version_min: 1, version_max: 1 });
        let at = Body::RelayAt(wire::RelayAt { record: Some(said.signed.to_wire()) });
        for (request, body) in [(1, hello), (0, at)] {
            self.input(Input::Frame { conn, frame: Frame { request, body: Some(body) } });
        }
        self.said()
    }

    /// Those far away say behind their greeting that they are there.
    pub(super) fn greet_with(&mut self, record: &RelayRecord) {
        let record = Some(record.signed.to_wire());
        self.greeting = Some(Body::Welcome(wire::Welcome { version: 1, now_ms: 0, record }));
    }

    /// Where one of those far away says that it is.
    pub(super) fn record(&self, of: u8, address: &str) -> RelayRecord {
        RelayRecord::issue(&key(of), vec![address.to_owned()], self.now).unwrap()
    }

    /// The near one looks after these.
    pub(super) fn name_peers(&mut self, peers: &[u8]) {
        let peers = peers.iter().map(|number| RelayAddress::from_wire(address(*number)).unwrap()).collect();
        self.near.name_peers(peers);
    }

    /// How often somebody was to look for this one.
    pub(super) fn sought(&self, of: u8) -> usize {
        let is_it = |finding: &&Finding| matches!(finding, Finding::Sought { relay, .. } if *relay == id(of));
        self.finder.iter().filter(is_it).count()
    }

    /// A record was found.
    pub(super) fn found(&mut self, record: &RelayRecord) {
        self.input(Input::Found { record: record.signed.to_wire() });
    }

    /// How it stands with one of those far away.
    pub(super) fn health(&self, of: u8) -> Option<DestinationHealth> {
        let all = self.near.relay.destinations(&Overlay::new(&self.near.store), 32).unwrap();
        all.into_iter().find(|health| health.relay == id(of).short())
    }

    /// With whom there is a connection.
    pub(super) fn connected(&self) -> Vec<u8> {
        self.up.values().copied().collect()
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        while self.now < end {
            let next = self.near.relay.next_tick().unwrap().max(self.now.after(Duration::from_millis(1)));
            self.now = next.min(end);
            self.input(Input::Tick);
        }
    }

    /// The clock is set back, and the shell sees it.
    pub(super) fn set_back(&mut self, by: Duration) {
        self.now = self.now.before(by);
        assert!(self.near.relay.wants_tick(self.now));
        self.input(Input::Tick);
    }

    pub(super) fn took(&self, to: u8) -> usize {
        self.carried.iter().filter(|(taker, _)| *taker == to).count()
    }
}
