//! Some real devices and a real relay's machine in one process, led step by step, on a clock of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use ed25519_dalek::SigningKey;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone::LinkId;
use undertone::command::{Ask, Command, CommandId, Response};
use undertone::engine::{Input, NetOutput, Notice, Outputs};
use undertone_protocol::ids::{DeviceId, RelayId};
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::limits::PROTOCOL_VERSION;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{Frame, Hello, frame::Body};
use undertone_relay::core::{ConnId, Input as RelayInput, Output as RelayOutput, Relay};
use undertone_relay::limits::{Limits, Registration};
use undertone_relay::store::{MemoryStore, Overlay, Store};

use super::crowd::Extra;
use super::meter::Began;
use super::party::Party;

const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);
/// How long a command may wait for the network.
const WAIT: Duration = Duration::from_secs(10);

pub(super) struct Hall {
    pub(super) now: Timestamp,
    relay: Relay,
    relay_disk: MemoryStore,
    /// CPU time of the relay's decisions and of its commits to memory.
    pub(super) relay_cpu: Duration,
    address: RelayAddress,
    pub(super) parties: Vec<Party>,
    /// Whose connections, and which of theirs.
    conns: BTreeMap<ConnId, (usize, LinkId)>,
    count: u64,
    answer: Option<Response>,
    pub(super) rng: ChaCha20Rng,
    sqlite: bool,
}

impl Hall {
    pub(super) fn new(sqlite: bool) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let key = SigningKey::from_bytes(&seed);
        let address = RelayAddress {
            relay: RelayId::new(key.verifying_key().to_bytes()),
            addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()],
        };
        // All members register within one moment.
        let limits = Limits { registrations_per_minute: 1_000_000, ..Limits::default() };
        let fork = ChaCha20Rng::seed_from_u64(rng.next_u64());
        Self {
            now: START,
            relay: Relay::new(limits, Registration::Open, key, Box::new(fork)),
            relay_disk: MemoryStore::new(),
            relay_cpu: Duration::ZERO,
            address,
            parties: Vec::new(),
            conns: BTreeMap::new(),
            count: 0,
            answer: None,
            rng,
            sqlite,
        }
    }

    /// One more device, of a new user. Gives its number.
    pub(super) fn add(&mut self, name: &'static str) -> anyhow::Result<usize> {
        let rng = ChaCha20Rng::seed_from_u64(self.rng.next_u64());
        self.parties.push(Party::new(name, self.address.clone(), self.sqlite, rng, self.now)?);
        self.run(Duration::from_secs(2))?;
        Ok(self.parties.len().saturating_sub(1))
    }

    /// Members who are known and never answer: their mailboxes and bundles are at the relay.
    pub(super) fn crowd(&mut self, count: usize) -> anyhow::Result<Vec<Extra>> {
        let mut crowd = Vec::with_capacity(count);
        for number in 0..count {
            let extra = Extra::new(number, &self.address, &mut self.rng, self.now)?;
            let conn = self.connect(extra.device)?;
            for body in extra.asks(&mut self.rng) {
                self.tell_relay(RelayInput::Frame { conn, frame: Frame { request: 1, body: Some(body) } })?;
            }
            self.tell_relay(RelayInput::Disconnected { conn })?;
            crowd.push(extra);
        }
        Ok(crowd)
    }

    /// A device's process ends and begins anew.
    pub(super) fn restart(&mut self, party: usize) -> anyhow::Result<()> {
        for link in self.party(party)?.conns.keys().copied().collect::<Vec<_>>() {
            self.hang_up(party, &link)?;
        }
        let now = self.now;
        self.party(party)?.start(now)
    }

    fn connect(&mut self, device: DeviceId) -> anyhow::Result<ConnId> {
        self.count += 1;
        let conn = ConnId::new(self.count);
        self.tell_relay(RelayInput::Connected { conn, device })?;
        let hello = Hello { version_min: PROTOCOL_VERSION, version_max: PROTOCOL_VERSION };
        let frame = Frame { request: 1, body: Some(Body::Hello(hello)) };
        self.tell_relay(RelayInput::Frame { conn, frame })?;
        Ok(conn)
    }

    pub(super) fn party(&mut self, party: usize) -> anyhow::Result<&mut Party> {
        self.parties.get_mut(party).context("there is no such device")
    }

    /// Asks a device, and lets all run until nothing moves.
    pub(super) fn ask(&mut self, party: usize, command: Command) -> anyhow::Result<Response> {
        let what = format!("{command:?}");
        self.run(Duration::from_millis(1))?;
        self.answer = None;
        let ask = Ask { id: CommandId(1), command, wait: WAIT };
        self.party(party)?.inputs.push_back(Input::Ask(ask));
        self.run(Duration::ZERO)?;
        if self.answer.is_none() {
            self.run(WAIT)?;
        }
        self.answer.take().with_context(|| format!("{what} was never answered"))
    }

    /// Lets all run for so long.
    pub(super) fn run(&mut self, duration: Duration) -> anyhow::Result<()> {
        let end = self.now.after(duration);
        loop {
            let relay = self.relay.next_tick();
            let next = self.parties.iter().filter_map(Party::wakes_at).chain(relay).min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if relay.is_some_and(|at| at <= self.now) {
                self.tell_relay(RelayInput::Tick)?;
            }
            for party in 0..self.parties.len() {
                if self.party(party)?.wakes_at().is_some_and(|at| at <= self.now) {
                    let now = self.now;
                    let out = self.party(party)?.step(now)?;
                    self.carry_out(party, out)?;
                }
            }
        }
        self.now = end;
        Ok(())
    }

    fn carry_out(&mut self, party: usize, out: Outputs) -> anyhow::Result<()> {
        for output in out.net {
            match output {
                NetOutput::Connect { link, .. } => self.dialled(party, link)?,
                NetOutput::Disconnect(link) => self.hang_up(party, &link)?,
                NetOutput::Send { link, frame } => {
                    let Some(conn) = self.party(party)?.conns.get(&link).copied() else { continue };
                    self.party(party)?.meter.sends(&frame);
                    self.tell_relay(RelayInput::Frame { conn, frame })?;
                }
            }
        }
        for notice in out.notices {
            if let Notice::Reply { result, .. } = notice {
                match *result {
                    Ok(response) => self.answer = Some(response),
                    Err(error) => bail!("a command failed: {error:?}"),
                }
            }
        }
        Ok(())
    }

    fn dialled(&mut self, party: usize, link: LinkId) -> anyhow::Result<()> {
        self.hang_up(party, &link)?;
        let own = self.party(party)?.device;
        let device = if link.hidden { DeviceId::random(&mut self.rng) } else { own };
        self.count += 1;
        let conn = ConnId::new(self.count);
        self.conns.insert(conn, (party, link));
        self.tell_relay(RelayInput::Connected { conn, device })?;
        let party = self.party(party)?;
        party.conns.insert(link, conn);
        party.inputs.push_back(Input::LinkUp { link });
        Ok(())
    }

    fn hang_up(&mut self, party: usize, link: &LinkId) -> anyhow::Result<()> {
        if let Some(conn) = self.party(party)?.conns.remove(link) {
            self.conns.remove(&conn);
            self.tell_relay(RelayInput::Disconnected { conn })?;
        }
        Ok(())
    }

    fn tell_relay(&mut self, input: RelayInput) -> anyhow::Result<()> {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let began = Began::now();
            let mut overlay = Overlay::new(&self.relay_disk);
            let mut out = Vec::new();
            self.relay.handle(input, self.now, &mut overlay, &mut out)?;
            let batch = overlay.into_batch();
            self.relay_disk.commit(batch)?;
            self.relay_cpu += began.cpu();
            for output in out {
                match output {
                    RelayOutput::Send { conn, frame } => {
                        inputs.push(RelayInput::Sent { conn, bytes: frame.encoded_len() as u64 });
                        self.give(conn, frame)?;
                    }
                    RelayOutput::Dial { .. } => bail!("there is one relay"),
                    // Nobody looks for relays.
                    RelayOutput::Find(_) => {}
                    RelayOutput::Close { conn } => bail!("the relay closed {conn:?}"),
                }
            }
        }
        Ok(())
    }

    fn give(&mut self, conn: ConnId, frame: Frame) -> anyhow::Result<()> {
        let Some((party, link)) = self.conns.get(&conn).copied() else { return Ok(()) };
        let party = self.party(party)?;
        party.meter.receives(&frame);
        party.inputs.push_back(Input::Frame { link, frame });
        Ok(())
    }
}
