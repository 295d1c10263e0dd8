//! The two ends of a conversation: who publishes, and who takes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use tokio::sync::watch;
use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{MailboxId, PayloadHash, PublishId, RelayId};
use undertone_protocol::limits::CREDIT_CLASS_0;
use undertone_protocol::receipts::{CustodyReceipt, Outcome};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{ProofInput, TokenGrant};
use undertone_protocol::wire::{self, Frame, frame::Body};

use super::client::{Client, Device};
use super::letters::{Arrived, Letters};

/// One receipt in so many is checked whole, its signature included: that is the clients' work, and dear.
pub(super) const RECEIPTS_PER_CHECK: u64 = 64;
/// What senders ask for.
const CUSTODY: Duration = Duration::from_secs(24 * 3600);

/// The request of a checkpoint; messages count from 1.
pub(super) const CHECKPOINT: u64 = u64::MAX;
/// Between two checkpoints, as a node has it (`spec/devices.md`).
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(200);

/// Who sends to one mailbox.
pub(super) trait Publishes: Send + 'static {
    /// How many messages it has published.
    fn count(&self) -> u64;

    /// How many of them have no receipt yet.
    fn unanswered(&self) -> usize;

    /// Publishes the next message.
    fn publish(&mut self) -> anyhow::Result<()>;

    /// Waits for one answer, then takes those that have come with it.
    fn receipts(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// One checkpoint at a time.
pub(super) struct Checkpoints {
    is_asking: bool,
    not_before: Instant,
}

impl Checkpoints {
    pub(super) fn new() -> Self {
        Self { is_asking: false, not_before: Instant::now() }
    }

    /// Says how far the device is before a message goes out, when it is time.
    pub(super) fn put(&mut self, client: &Client, device: &Device, next: u64) -> anyhow::Result<()> {
        let now = Instant::now();
        if self.is_asking || now < self.not_before {
            return Ok(());
        }
        *self = Self { is_asking: true, not_before: now + CHECKPOINT_PAUSE };
        client.send(CHECKPOINT, device.checkpoint(next))
    }

    /// Takes its answer.
    pub(super) fn answered(&mut self, body: Option<&Body>) -> anyhow::Result<()> {
        ensure!(matches!(body, Some(Body::Done(_))), "the checkpoint was not taken but {body:?}");
        self.is_asking = false;
        Ok(())
    }
}

/// Publishes to one mailbox.
pub(super) struct Publisher {
    client: Client,
    device: Device,
    relay: RelayId,
    mailbox: MailboxId,
    grant: TokenGrant,
    letters: Letters,
    /// Requests without an answer: the message's hash, and when it was sent.
    open: BTreeMap<u64, (PayloadHash, Instant)>,
    next: u64,
    checkpoint: Checkpoints,
    /// From publish to receipt.
    pub(super) answered_after: Vec<Duration>,
}

impl Publisher {
    /// Publishes to a device's mailbox. The publishing device is attached to its own.
    pub(super) fn new(
        client: Client,
        relay: RelayId,
        device: &Device,
        to: &Device,
        letters: Letters,
    ) -> Self {
        Self {
            client,
            device: device.clone(),
            relay,
            mailbox: to.mailbox(),
            grant: to.grant(),
            letters,
            open: BTreeMap::new(),
            next: 0,
            checkpoint: Checkpoints::new(),
            answered_after: Vec::new(),
        }
    }

    fn receipt(&mut self, request: u64, published: &wire::Published) -> anyhow::Result<()> {
        let (hash, sent) = self.open.remove(&request).context("a receipt for nothing")?;
        self.answered_after.push(sent.elapsed());
        if request.is_multiple_of(RECEIPTS_PER_CHECK) {
            let signed = published.receipt.clone().context("an empty receipt")?;
            let receipt = CustodyReceipt::verify(&Signed::from_wire(signed)?, &self.relay)?;
            let [item] = receipt.items.as_slice() else {
                bail!("a receipt for {} items", receipt.items.len())
            };
            ensure!(item.payload_hash == hash, "a receipt for another message");
            ensure!(matches!(item.recipients[..], [Outcome::Stored { .. }]), "not stored but {item:?}");
        }
        Ok(())
    }
}

impl Publishes for Publisher {
    fn count(&self) -> u64 {
        self.next
    }

    fn unanswered(&self) -> usize {
        self.open.len()
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        let payload = self.letters.write(self.next);
        let hash = PayloadHash::of(&payload);
        let input = ProofInput {
            publish_id: publish_id(self.letters.series, self.next),
            payload_hash: hash,
            relay: self.relay,
            expiry: custody_end()?,
        };
        let recipient = self.grant.prove(&input).to_recipient(self.mailbox, 1, self.grant.path());
        let open = wire::OpenRoute { recipients: vec![recipient] };
        let route = Some(wire::Route { kind: Some(wire::route::Kind::Open(open)) });
        let item = wire::PublishItem { payload, class: 0, expiry_ms: input.expiry.as_ms(), route };
        let publish = wire::Publish { publish_id: input.publish_id.to_wire(), items: vec![item] };
        self.next += 1;
        // It stands in the outbox, so the next one is one more.
        self.checkpoint.put(&self.client, &self.device, self.next + 1)?;
        self.open.insert(self.next, (hash, Instant::now()));
        self.client.send(self.next, Body::Publish(publish))
    }

    async fn receipts(&mut self) -> anyhow::Result<()> {
        let mut frame = Some(self.client.next().await?);
        while let Some(Frame { request, body }) = frame {
            match body {
                body if request == CHECKPOINT => self.checkpoint.answered(body.as_ref())?,
                Some(Body::Published(published)) => self.receipt(request, &published)?,
                other => bail!("no receipt but {other:?}"),
            }
            frame = self.client.next_now()?;
        }
        Ok(())
    }
}

/// Until when senders ask for custody.
pub(super) fn custody_end() -> anyhow::Result<Timestamp> {
    let end = SystemTime::now().duration_since(UNIX_EPOCH)? + CUSTODY;
    Ok(Timestamp::from_ms(u64::try_from(end.as_millis())?))
}

/// The id of a message.
pub(super) fn publish_id(series: u32, number: u64) -> PublishId {
    let mut id = [0; PublishId::LEN];
    let name = series.to_be_bytes().into_iter().chain(number.to_be_bytes());
    id.iter_mut().zip(name).for_each(|(to, from)| *to = from);
    PublishId::new(id)
}

/// Takes what comes to one mailbox, and acknowledges what has come together at once.
pub(super) struct Taker {
    client: Client,
    letters: Letters,
    arrived: Arrived,
    through: u64,
    taken: (u64, u64),
    granted: u64,
    /// From publish to delivery.
    pub(super) delivered_after: Vec<Duration>,
}

impl Taker {
    /// Attaches to the device's mailbox.
    pub(super) async fn attach(
        mut client: Client,
        device: &Device,
        letters: Letters,
    ) -> anyhow::Result<Self> {
        client.attach(device).await?;
        client.send(0, Body::Credit(credit((0, 0))))?;
        let granted = CREDIT_CLASS_0.0;
        let (arrived, delivered_after) = (Arrived::default(), Vec::new());
        Ok(Self { client, letters, arrived, through: 0, taken: (0, 0), granted, delivered_after })
    }

    /// Takes until all have come that `sent` says were sent, and the relay has taken the acknowledgement.
    pub(super) async fn run(&mut self, mut sent: watch::Receiver<Option<u64>>) -> anyhow::Result<()> {
        loop {
            let total = *sent.borrow_and_update();
            if let Some(total) = total
                && self.arrived.is_all_of(total)?
            {
                return self.finish().await;
            }
            tokio::select! {
                frame = self.client.next() => self.take(frame?)?,
                changed = sent.changed(), if total.is_none() => changed.context("the sender is gone")?,
            }
        }
    }

    fn take(&mut self, first: Frame) -> anyhow::Result<()> {
        let mut frame = Some(first);
        while let Some(Frame { body, .. }) = frame {
            let Some(Body::Deliver(deliver)) = body else { bail!("no delivery but {body:?}") };
            ensure!(deliver.class == 0 && deliver.seq == self.through + 1, "a delivery out of order");
            let (number, age) = self.letters.read(&deliver.payload)?;
            self.arrived.note(number)?;
            self.delivered_after.push(age);
            self.through = deliver.seq;
            self.taken.0 += 1;
            self.taken.1 += u64::try_from(deliver.payload.len())?;
            frame = self.client.next_now()?;
        }
        self.client.send(0, Body::Ack(self.ack()))?;
        if self.granted - self.taken.0 <= CREDIT_CLASS_0.0 / 2 {
            let credit = credit(self.taken);
            self.granted = credit.messages;
            self.client.send(0, Body::Credit(credit))?;
        }
        Ok(())
    }

    async fn finish(&mut self) -> anyhow::Result<()> {
        match self.client.ask(Body::Ack(self.ack())).await? {
            Body::Done(_) => Ok(()),
            other => bail!("not acknowledged but {other:?}"),
        }
    }

    fn ack(&self) -> wire::Ack {
        wire::Ack { class: 0, through: self.through, ranges: Vec::new() }
    }
}

/// A full window beyond what was taken: messages, bytes.
fn credit(taken: (u64, u64)) -> wire::Credit {
    wire::Credit { class: 0, messages: taken.0 + CREDIT_CLASS_0.0, bytes: taken.1 + CREDIT_CLASS_0.1 }
}
