//! One sender and a group whose members are away: each message once with a list of all recipients, as a node publishes
//! it, and for comparison once for each of them, the same bytes every time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use prost::Message;
use tokio::sync::watch;
use tokio::task::JoinSet;
use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{Handle, PayloadHash, PublishId, RelayId};
use undertone_protocol::receipts::{CustodyReceipt, Outcome};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{ProofInput, Step, TokenGrant};
use undertone_protocol::wire::{self, Frame, frame::Body};
use undertone_transport::RelayAddress;

use super::client::{Client, Device};
use super::clients::{Clients, Stage};
use super::letters::Letters;
use super::options::FanOut;
use super::process::{RelayProcess, Usage};
use super::report::{Report, per};
use super::sides::Taker;
use super::stage::{Cue, Measured};

/// Receipts whose signature is checked: one in so many.
const RECEIPTS_PER_CHECK: u64 = 64;
/// Publishes to all that have no receipt yet: a frame each, of some 100 KB.
const LISTED_WINDOW: usize = 4;
/// What the sender asks for.
const CUSTODY: Duration = Duration::from_secs(24 * 3600);

/// All of it: a group of one sender can't be shared.
pub(super) async fn serve(
    cue: Cue,
    relay: &RelayAddress,
    asked: &FanOut,
    bytes: usize,
) -> anyhow::Result<()> {
    let members = asked.mailboxes;
    let groups = [Device::many(0..members), Device::many(members..2 * members)];
    for group in &groups {
        drop(Client::connect_all(group, relay, true).await?);
    }
    let client = Client::connect(&Device::new(2 * members), relay).await?;
    let mut sender = Sender { client, relay: relay.relay, open: BTreeMap::new(), next: 1, sent_bytes: 0 };
    for (series, group) in (1..).zip(&groups) {
        let letters = Letters { series, bytes, since: Instant::now() };
        cue.ready().await?;
        cue.done(&sender.store(group, &letters, asked, series == 1).await?)?;
        let taking = Client::connect_all(group, relay, false).await?;
        cue.ready().await?;
        drain(group, taking, letters, asked.messages.into()).await?;
        cue.done(&Measured::default())?;
    }
    Ok(())
}

pub(super) async fn run(relay: &RelayProcess, clients: &mut Clients) -> anyhow::Result<Report> {
    let mut report = Report::new("fan-out");
    let listed = Cost::of(relay, clients).await?;
    let single = Cost::of(relay, clients).await?;
    report.count("deliveries", listed.deliveries);
    for (way, cost) in [("listed", &listed), ("single", &single)] {
        for (what, figure) in cost.figures() {
            report.number(&format!("{way}_{what}_per_delivery"), figure);
        }
    }
    for ((what, listed), (_, single)) in listed.figures().into_iter().zip(single.figures()) {
        report.number(&format!("{what}_ratio"), single / listed);
    }
    Ok(report)
}

/// What storing and draining took.
struct Cost {
    deliveries: u64,
    sent_bytes: u64,
    store: (Usage, Usage),
    drain: (Usage, Usage),
}

impl Cost {
    async fn of(relay: &RelayProcess, clients: &mut Clients) -> anyhow::Result<Self> {
        let Stage { before, after, measured, .. } = clients.stage(relay).await?;
        let store = (before, after);
        let Stage { before, after, .. } = clients.stage(relay).await?;
        let drain = (before, after);
        Ok(Self { deliveries: measured.messages, sent_bytes: measured.sent_bytes, store, drain })
    }

    /// For each delivery.
    fn figures(&self) -> [(&'static str, f64); 5] {
        let cpu = |(before, after): &(Usage, Usage)| per(after.cpu - before.cpu, self.deliveries);
        let bytes = |bytes: u64| bytes as f64 / self.deliveries as f64;
        let (before, after) = &self.store;
        [
            ("sent_bytes", bytes(self.sent_bytes)),
            ("server_cpu_us", cpu(&self.store)),
            ("disk_bytes", bytes(after.store_bytes.saturating_sub(before.store_bytes))),
            ("written_bytes", bytes(after.written_bytes - before.written_bytes)),
            ("drain_server_cpu_us", cpu(&self.drain)),
        ]
    }
}

/// The one who writes to all.
struct Sender {
    client: Client,
    relay: RelayId,
    /// Requests without an answer: the message's hash, and for how many mailboxes it is.
    open: BTreeMap<u64, (PayloadHash, usize)>,
    next: u64,
    sent_bytes: u64,
}

impl Sender {
    /// Publishes all messages to all; `listed`: each once.
    async fn store(
        &mut self,
        group: &[Device],
        letters: &Letters,
        asked: &FanOut,
        listed: bool,
    ) -> anyhow::Result<Measured> {
        let window = if listed { LISTED_WINDOW } else { usize::try_from(asked.window)? };
        let tokens: Vec<_> = group.iter().map(|device| (device, token(device))).collect();
        let before = self.sent_bytes;
        for number in 0..u64::from(asked.messages) {
            let payload = letters.write(number);
            for part in tokens.chunks(if listed { tokens.len() } else { 1 }) {
                while self.open.len() >= window {
                    self.receipts().await?;
                }
                self.publish(&payload, part)?;
            }
        }
        while !self.open.is_empty() {
            self.receipts().await?;
        }
        let messages = u64::from(asked.messages) * u64::try_from(group.len())?;
        Ok(Measured { messages, sent_bytes: self.sent_bytes - before, ..Measured::default() })
    }

    fn publish(&mut self, payload: &Bytes, to: &[(&Device, TokenGrant)]) -> anyhow::Result<()> {
        let request = self.next;
        self.next += 1;
        let mut id = [0; PublishId::LEN];
        id.iter_mut().zip(request.to_be_bytes()).for_each(|(to, from)| *to = from);
        let until = SystemTime::now().duration_since(UNIX_EPOCH)? + CUSTODY;
        let input = ProofInput {
            publish_id: PublishId::new(id),
            payload_hash: PayloadHash::of(payload),
            relay: self.relay,
            expiry: Timestamp::from_ms(u64::try_from(until.as_millis())?),
        };
        let prove = |(device, token): &(&Device, TokenGrant)| {
            token.prove(&input).to_recipient(device.mailbox(), 1, token.path())
        };
        let open = wire::OpenRoute { recipients: to.iter().map(prove).collect() };
        let route = Some(wire::Route { kind: Some(wire::route::Kind::Open(open)) });
        let expiry_ms = input.expiry.as_ms();
        let item = wire::PublishItem { payload: payload.clone(), class: 0, expiry_ms, route };
        let publish = wire::Publish { publish_id: input.publish_id.to_wire(), items: vec![item] };
        let body = Body::Publish(publish);
        self.sent_bytes += u64::try_from(Frame { request, body: Some(body.clone()) }.encoded_len())?;
        self.open.insert(request, (input.payload_hash, to.len()));
        self.client.send(request, body)
    }

    /// Waits for one answer, then takes those that have come with it.
    async fn receipts(&mut self) -> anyhow::Result<()> {
        let mut frame = Some(self.client.next().await?);
        while let Some(Frame { request, body }) = frame {
            let Some(Body::Published(published)) = body else { bail!("no receipt but {body:?}") };
            let (hash, recipients) = self.open.remove(&request).context("a receipt for nothing")?;
            if recipients > 1 || request.is_multiple_of(RECEIPTS_PER_CHECK) {
                let signed = published.receipt.context("an empty receipt")?;
                let receipt = CustodyReceipt::verify(&Signed::from_wire(signed)?, &self.relay)?;
                let [item] = receipt.items.as_slice() else {
                    bail!("a receipt for {} items", receipt.items.len())
                };
                ensure!(item.payload_hash == hash, "a receipt for another message");
                ensure!(item.recipients.len() == recipients, "a receipt for other recipients");
                let is_stored = |outcome: &Outcome| matches!(outcome, Outcome::Stored { .. });
                ensure!(item.recipients.iter().all(is_stored), "not stored but {item:?}");
            }
            frame = self.client.next_now()?;
        }
        Ok(())
    }
}

/// A member's token: the group's step, then the member's.
fn token(device: &Device) -> TokenGrant {
    let grant = device.grant();
    grant.extend(Step::named(Handle::new([2; Handle::LEN]))).unwrap_or(grant)
}

async fn drain(group: &[Device], taking: Vec<Client>, letters: Letters, messages: u64) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    let (_told, sent) = watch::channel(Some(messages));
    for (device, client) in group.iter().cloned().zip(taking) {
        let sent = sent.clone();
        tasks.spawn(async move { Taker::attach(client, &device, letters).await?.run(sent).await });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}
