//! Who hands in at a relay of their own what is for mailboxes at another one.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use undertone_protocol::codec::Signed;
use undertone_protocol::federation::{AnswerKey, Circuit, Outgoing, OutgoingItem, RoutingKey};
use undertone_protocol::ids::{MailboxId, PayloadHash, PublishId};
use undertone_protocol::limits::CIRCUIT_FORWARDS_MAX;
use undertone_protocol::receipts::Outcome;
use undertone_protocol::token::{ProofInput, TokenGrant};
use undertone_protocol::wire::{self, Frame, RefusalCode, frame::Body};
use undertone_transport::RelayAddress;

use super::client::{Client, Device};
use super::letters::Letters;
use super::sides::{CHECKPOINT, Checkpoints, Publishes, RECEIPTS_PER_CHECK, custody_end, publish_id};

/// Times that a relay may say that it has no routing key of the other one yet.
const KEY_TRIES_MAX: usize = 100;

/// Publishes to one mailbox over two relays. A receipt is the destination's, so a message that the own relay merely
/// holds has none.
pub(super) struct Forwarder {
    client: Client,
    device: Device,
    destination: wire::RelayAddress,
    key: RoutingKey,
    circuit: Circuit,
    rng: ChaCha20Rng,
    mailbox: MailboxId,
    grant: TokenGrant,
    letters: Letters,
    /// Forwards without an answer: what opens it, and the message's hash.
    open: BTreeMap<PublishId, (AnswerKey, PayloadHash)>,
    next: u64,
    answers: u64,
    checkpoint: Checkpoints,
}

impl Forwarder {
    /// Publishes to the mailbox of a device at another relay. The publishing device is attached to its own, at the one
    /// that it is connected to.
    pub(super) async fn new(
        mut client: Client,
        destination: &RelayAddress,
        device: &Device,
        to: &Device,
        letters: Letters,
    ) -> anyhow::Result<Self> {
        let named = wire::RelayAddress {
            relay: destination.relay.to_wire(),
            addresses: vec![destination.address.to_string()],
        };
        let key = routing_key(&mut client, destination, &named).await?;
        let mut rng = ChaCha20Rng::seed_from_u64(letters.series.into());
        Ok(Self {
            client,
            device: device.clone(),
            destination: named,
            circuit: Circuit::set_up(&key, &mut rng)?,
            key,
            rng,
            mailbox: to.mailbox(),
            grant: to.grant(),
            letters,
            open: BTreeMap::new(),
            next: 0,
            answers: 0,
            checkpoint: Checkpoints::new(),
        })
    }

    fn answer(&mut self, forwarded: wire::Forwarded) -> anyhow::Result<()> {
        let id = PublishId::from_slice(&forwarded.forward_id)?;
        let (key, hash) = self.open.remove(&id).context("an answer to nothing")?;
        self.answers += 1;
        if self.answers.is_multiple_of(RECEIPTS_PER_CHECK) {
            let receipt = key.open(&forwarded)?;
            let [item] = receipt.items.as_slice() else {
                bail!("a receipt for {} items", receipt.items.len())
            };
            ensure!(item.payload_hash == hash, "a receipt for another message");
            ensure!(matches!(item.recipients[..], [Outcome::Stored { .. }]), "not stored but {item:?}");
        }
        // One at a time, as a node says it.
        self.client
            .send(0, Body::ForwardsTaken(wire::ForwardsTaken { forward_ids: vec![forwarded.forward_id] }))
    }
}

impl Publishes for Forwarder {
    fn count(&self) -> u64 {
        self.next
    }

    fn unanswered(&self) -> usize {
        self.open.len()
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        if self.circuit.used() >= CIRCUIT_FORWARDS_MAX {
            self.circuit = Circuit::set_up(&self.key, &mut self.rng)?;
        }
        let payload = self.letters.write(self.next);
        let input = ProofInput {
            publish_id: publish_id(self.letters.series, self.next),
            payload_hash: PayloadHash::of(&payload),
            relay: self.key.relay,
            expiry: custody_end()?,
        };
        let recipient = self.grant.prove(&input).to_recipient(self.mailbox, 1, self.grant.path());
        let item = OutgoingItem { payload, class: 0, expiry: input.expiry, recipients: vec![recipient] };
        let (forward_id, not_after) = (input.publish_id, input.expiry);
        let (parcel, key) = self.circuit.seal(Outgoing { forward_id, not_after, items: vec![item] })?;
        self.next += 1;
        self.checkpoint.put(&self.client, &self.device, self.next + 1)?;
        self.open.insert(forward_id, (key, input.payload_hash));
        let forward = wire::Forward { destination: Some(self.destination.clone()), parcel };
        self.client.send(self.next, Body::Forward(forward))
    }

    async fn receipts(&mut self) -> anyhow::Result<()> {
        let mut frame = Some(self.client.next().await?);
        while let Some(Frame { request, body }) = frame {
            match body {
                body if request == CHECKPOINT => self.checkpoint.answered(body.as_ref())?,
                Some(Body::Waiting(_)) => {}
                Some(Body::Forwarded(forwarded)) => self.answer(forwarded)?,
                other => bail!("no receipt but {other:?}"),
            }
            frame = self.client.next_now()?;
        }
        Ok(())
    }
}

async fn routing_key(
    client: &mut Client,
    of: &RelayAddress,
    named: &wire::RelayAddress,
) -> anyhow::Result<RoutingKey> {
    for _ in 0..KEY_TRIES_MAX {
        match client.ask(Body::GetRoutingKey(wire::GetRoutingKey { relay: Some(named.clone()) })).await? {
            Body::RoutingKey(answer) => {
                let signed = Signed::from_wire(answer.key.context("an empty answer")?)?;
                return Ok(RoutingKey::verify(signed, &of.relay)?);
            }
            Body::Refusal(refusal) if refusal.code() == RefusalCode::RetryAfter => {
                tokio::time::sleep(std::time::Duration::from_millis(refusal.retry_after_ms)).await;
            }
            other => bail!("no routing key but {other:?}"),
        }
    }
    bail!("no routing key of the other relay")
}
