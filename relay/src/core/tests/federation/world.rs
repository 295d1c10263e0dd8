mod side;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use undertone_protocol::codec::Signed;
use undertone_protocol::federation::{
    AnswerKey, Circuit, DeadLetter, DeadLetterReason, Outgoing, OutgoingItem, RoutingKey, Waiting,
};
use undertone_protocol::ids::{PayloadHash, PublishId, RelayId};
use undertone_protocol::receipts::Outcome;
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::ProofInput;
use undertone_protocol::wire::{self, Frame, frame::Body};

pub(super) use side::Side;

use super::super::world::{attach, device, grant, mailbox, register};
use crate::core::{ConnId, Input, Output};
use crate::limits::Limits;

/// The device at A that sends, and the one at B that gets it (mailbox 1).
pub(super) const SENDER: ConnId = ConnId::new(1);
pub(super) const OWNER: ConnId = ConnId::new(2);
/// Links have numbers from here on, at A, and so many more at B.
const LINKS: u64 = 100;
const AT_B: u64 = 1_000_000;
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// B commits, and its answers don't arrive.
    AnswersLost,
    /// B dies before it commits what was carried to it.
    DiesBeforeCommit,
}

/// A and B, each with one device.
pub(super) struct Net {
    pub(super) a: Side,
    pub(super) b: Side,
    pub(super) now: Timestamp,
    pub(super) reachable: bool,
    pub(super) fault: Option<Fault>,
    /// When A dialled.
    pub(super) dials: Vec<Timestamp>,
    /// How many parcels each frame from A carried.
    pub(super) carried: Vec<usize>,
    /// Every parcel that A carried.
    pub(super) parcels: Vec<Bytes>,
    link: Option<ConnId>,
    links: u64,
    rng: ChaCha20Rng,
    circuit: Option<Circuit>,
}

impl Net {
    pub(super) fn new() -> Self {
        Self::with(Limits { silence_ms_max: u64::MAX / 4, ..Limits::default() })
    }

    /// A has the sender with a mailbox of its own; B has mailbox 1, whose owner is attached.
    pub(super) fn with(limits: Limits) -> Self {
        let limits = Limits { sweep_interval_ms: 20_000, ..limits };
        let mut net = Self {
            a: Side::new(5, limits.clone()),
            b: Side::new(6, limits),
            now: Timestamp::from_ms(1_700_000_000_000),
            reachable: true,
            fault: None,
            dials: Vec::new(),
            carried: Vec::new(),
            parcels: Vec::new(),
            link: None,
            links: LINKS,
            rng: ChaCha20Rng::seed_from_u64(3),
            circuit: None,
        };
        net.greet_a();
        net.tell_a(register(9, 1));
        net.greet_b();
        net.tell_b(register(1, 1));
        net.tell_b(attach(1, 100_000, u64::MAX));
        net.said_a();
        net.said_b();
        net
    }

    pub(super) fn greet_a(&mut self) {
        self.input_a(Input::Connected { conn: SENDER, device: device(1) });
        self.tell_a(Body::Hello(wire::Hello { version_min: 1, version_max: 1 }));
    }

    fn greet_b(&mut self) {
        self.input_b(Input::Connected { conn: OWNER, device: device(2) });
        self.tell_b(Body::Hello(wire::Hello { version_min: 1, version_max: 1 }));
    }

    pub(super) fn tell_a(&mut self, body: Body) {
        self.input_a(Input::Frame { conn: SENDER, frame: Frame { request: 7, body: Some(body) } });
    }

    pub(super) fn tell_b(&mut self, body: Body) {
        self.input_b(Input::Frame { conn: OWNER, frame: Frame { request: 7, body: Some(body) } });
    }

    pub(super) fn input_a(&mut self, input: Input) {
        let out = self.a.step(input, self.now);
        self.route(out, Vec::new());
    }

    pub(super) fn input_b(&mut self, input: Input) {
        let out = self.b.step(input, self.now);
        self.route(Vec::new(), out);
    }

    /// Carries what was put out, until nothing more comes of it.
    fn route(&mut self, a: Vec<Output>, b: Vec<Output>) {
        let (mut a, mut b) = (VecDeque::from(a), VecDeque::from(b));
        loop {
            let (more_a, more_b) = if let Some(output) = a.pop_front() {
                self.out_of_a(output)
            } else if let Some(output) = b.pop_front() {
                (self.out_of_b(output), Vec::new())
            } else {
                return;
            };
            a.extend(more_a);
            b.extend(more_b);
        }
    }

    fn out_of_a(&mut self, output: Output) -> (Vec<Output>, Vec<Output>) {
        match output {
            Output::Send { conn, frame } if conn.get() < LINKS => {
                self.a.said.push((conn, frame));
                (Vec::new(), Vec::new())
            }
            Output::Send { conn, frame } => {
                if let Some(Body::Carry(carry)) = &frame.body {
                    self.carried.push(carry.parcels.len());
                    self.parcels.extend(carry.parcels.iter().cloned());
                    if self.fault == Some(Fault::DiesBeforeCommit) {
                        return (self.kill_b(), Vec::new());
                    }
                }
                (Vec::new(), self.bring_to_b(conn, frame))
            }
            Output::Close { conn } if self.link == Some(conn) => {
                self.link = None;
                let gone = Input::Disconnected { conn: ConnId::new(conn.get() + AT_B) };
                (Vec::new(), self.b.step(gone, self.now))
            }
            Output::Close { .. } => (Vec::new(), Vec::new()),
            Output::Dial { relay, .. } => self.dial(relay),
            Output::Find(_) => (Vec::new(), Vec::new()),
        }
    }

    fn bring_to_b(&mut self, conn: ConnId, frame: Frame) -> Vec<Output> {
        if self.link != Some(conn) {
            return Vec::new();
        }
        self.b.step(Input::Frame { conn: ConnId::new(conn.get() + AT_B), frame }, self.now)
    }

    fn dial(&mut self, relay: RelayId) -> (Vec<Output>, Vec<Output>) {
        assert_eq!(relay, self.b.relay.id());
        self.dials.push(self.now);
        if !self.reachable {
            return (self.a.step(Input::DialFailed { relay }, self.now), Vec::new());
        }
        self.links += 1;
        let conn = ConnId::new(self.links);
        self.link = Some(conn);
        let at_b = Input::RelayConnected { conn: ConnId::new(self.links + AT_B), relay: self.a.relay.id() };
        let from_b = self.b.step(at_b, self.now);
        (self.a.step(Input::Dialled { relay, conn }, self.now), from_b)
    }

    fn out_of_b(&mut self, output: Output) -> Vec<Output> {
        match output {
            Output::Send { conn, frame } if conn.get() < LINKS => {
                self.b.said.push((conn, frame));
                Vec::new()
            }
            Output::Send { conn, frame } => {
                let at_a = ConnId::new(conn.get() - AT_B);
                let is_answer = matches!(frame.body, Some(Body::Forwarded(_)));
                if is_answer && self.fault == Some(Fault::AnswersLost) {
                    return self.cut();
                }
                if self.link != Some(at_a) {
                    return Vec::new();
                }
                self.a.step(Input::Frame { conn: at_a, frame }, self.now)
            }
            Output::Close { conn } if conn.get() < LINKS => Vec::new(),
            Output::Close { .. } => self.cut(),
            Output::Find(_) => Vec::new(),
            Output::Dial { .. } => panic!("B has nothing to forward"),
        }
    }

    /// The link breaks.
    pub(super) fn cut(&mut self) -> Vec<Output> {
        let Some(conn) = self.link.take() else { return Vec::new() };
        self.b.step(Input::Disconnected { conn: ConnId::new(conn.get() + AT_B) }, self.now);
        self.a.step(Input::Disconnected { conn }, self.now)
    }

    /// B dies: what was not committed is gone, and what it held in memory.
    pub(super) fn kill_b(&mut self) -> Vec<Output> {
        self.b.restart_by(self.rng.next_u64());
        let out = match self.link.take() {
            Some(conn) => self.a.step(Input::Disconnected { conn }, self.now),
            None => Vec::new(),
        };
        self.greet_b();
        self.tell_b(attach(1, 100_000, u64::MAX));
        out
    }

    /// A dies.
    pub(super) fn kill_a(&mut self) {
        self.a.restart_by(self.rng.next_u64());
        if let Some(conn) = self.link.take() {
            self.b.step(Input::Disconnected { conn: ConnId::new(conn.get() + AT_B) }, self.now);
        }
    }

    /// Time passes, and both look at the clock as often as they ask for.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        loop {
            let next =
                [&self.a.relay, &self.b.relay].map(|relay| relay.next_tick().unwrap()).into_iter().min();
            let at = next.unwrap().max(self.now.after(Duration::from_millis(1)));
            self.now = at.min(end);
            self.input_a(Input::Tick);
            self.input_b(Input::Tick);
            if at >= end {
                return;
            }
        }
    }

    /// The clock is set back, and both shells see it.
    pub(super) fn set_back(&mut self, by: Duration) {
        self.now = self.now.before(by);
        assert!(self.a.relay.wants_tick(self.now) && self.b.relay.wants_tick(self.now));
        self.input_a(Input::Tick);
        self.input_b(Input::Tick);
    }

    pub(super) fn said_a(&mut self) -> Vec<Body> {
        std::mem::take(&mut self.a.said).into_iter().filter_map(|(_, frame)| frame.body).collect()
    }

    pub(super) fn said_b(&mut self) -> Vec<Body> {
        std::mem::take(&mut self.b.said).into_iter().filter_map(|(_, frame)| frame.body).collect()
    }

    /// What B's owner was given, in order.
    pub(super) fn delivered(&mut self) -> Vec<Bytes> {
        let delivered = |body| match body {
            Body::Deliver(deliver) => Some(deliver.payload),
            _ => None,
        };
        self.said_b().into_iter().filter_map(delivered).collect()
    }

    pub(super) fn b_address(&self) -> wire::RelayAddress {
        let addresses = vec!["/ip4/192.0.2.1/tcp/4001".to_owned()];
        wire::RelayAddress { relay: self.b.relay.id().to_wire(), addresses }
    }

    /// Asks A for B's key, until it has it.
    pub(super) fn routing_key(&mut self) -> RoutingKey {
        for _ in 0..3 {
            let asked = wire::GetRoutingKey { relay: Some(self.b_address()) };
            self.tell_a(Body::GetRoutingKey(asked));
            if let Some(Body::RoutingKey(answer)) = self.said_a().pop() {
                let signed = Signed::required("answer", "key", answer.key).unwrap();
                return RoutingKey::verify(signed, &self.b.relay.id()).unwrap();
            }
        }
        panic!("A does not know B's key")
    }

    /// A parcel with one payload for mailbox 1 of B, and what opens its answer.
    pub(super) fn seal(&mut self, payload: &[u8]) -> (Bytes, AnswerKey) {
        self.seal_until(payload, self.now.after(2 * DAY))
    }

    pub(super) fn seal_until(&mut self, payload: &[u8], not_after: Timestamp) -> (Bytes, AnswerKey) {
        if self.circuit.is_none() {
            let key = self.routing_key();
            self.circuit = Some(Circuit::set_up(&key, &mut self.rng).unwrap());
        }
        let (forward_id, expiry) = (PublishId::random(&mut self.rng), self.now.after(10 * DAY));
        let (payload_hash, relay) = (PayloadHash::of(payload), self.b.relay.id());
        let grant = grant(1);
        let proof = grant.prove(&ProofInput { publish_id: forward_id, payload_hash, relay, expiry });
        let recipients = vec![proof.to_recipient(mailbox(1), 1, grant.path())];
        let payload = Bytes::copy_from_slice(payload);
        let items = vec![OutgoingItem { payload, class: 0, expiry, recipients }];
        self.circuit.as_mut().unwrap().seal(Outgoing { forward_id, not_after, items }).unwrap()
    }

    pub(super) fn hand_in(&mut self, parcel: &Bytes) {
        let forward = wire::Forward { destination: Some(self.b_address()), parcel: parcel.clone() };
        self.tell_a(Body::Forward(forward));
    }

    /// Seals and hands in; what opens the answer.
    pub(super) fn forward(&mut self, payload: &[u8]) -> AnswerKey {
        let (parcel, answer_key) = self.seal(payload);
        self.hand_in(&parcel);
        answer_key
    }

    pub(super) fn taken(&mut self, forwards: &[PublishId]) {
        let forward_ids = forwards.iter().map(|id| id.to_wire()).collect();
        self.tell_a(Body::ForwardsTaken(wire::ForwardsTaken { forward_ids }));
    }
}

pub(super) fn waiting(body: &Body, relay: RelayId) -> Waiting {
    let Body::Waiting(waiting) = body else { panic!("{body:?}") };
    Waiting::verify(&Signed::from_wire(waiting.notice.clone().unwrap()).unwrap(), &relay).unwrap()
}

pub(super) fn outcome(body: &Body, key: &AnswerKey) -> Outcome {
    let Body::Forwarded(forwarded) = body else { panic!("{body:?}") };
    key.open(forwarded).unwrap().items[0].recipients[0]
}

pub(super) fn dead(body: &Body, relay: RelayId) -> (PublishId, DeadLetterReason) {
    let Body::DeadLetter(dead) = body else { panic!("{body:?}") };
    let dead = DeadLetter::verify(&Signed::from_wire(dead.notice.clone().unwrap()).unwrap(), &relay).unwrap();
    (dead.forward_id, dead.reason)
}
