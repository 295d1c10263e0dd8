//! A device and its mailbox: attach, acknowledgements, checkpoints, credit.

use undertone_protocol::codec::Malformed;
use undertone_protocol::ids::{DeviceId, MailboxId};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, GoodbyeCode};

use super::relay::Relay;
use super::requests::too_fast;
use super::types::Output;
use crate::admission;
use crate::answer::{Failed, Refused};
use crate::conn::ConnId;
use crate::mailbox::{self, AckSpans, DurableClass};
use crate::store::{Overlay, Store, StoreError};

impl Relay {
    pub(super) fn attach<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        device: DeviceId,
        asked: &wire::Attach,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<wire::Attached, Failed> {
        let mailbox = MailboxId::from_slice(&asked.mailbox)?;
        let (acks, credits) = parse(asked)?;
        let record = admission::owned(tx, &mailbox, &device)?;
        if self.sessions.mailbox_of(conn).is_some_and(|attached| attached != mailbox) {
            return Err(Refused::limit("one mailbox for each connection").into());
        }
        self.attach_rates
            .take(&mailbox, &self.limits)
            .map_err(|wait| too_fast("attaches_per_minute", wait))?;
        if asked.generation == record.generation {
            if is_beyond(tx, &mailbox, &acks)? {
                return self.older_store(&mailbox, tx);
            }
            for spans in &acks {
                self.metrics.acknowledged += mailbox::acknowledge(tx, &mailbox, spans, now)?;
            }
        }
        self.start_session(conn, mailbox, tx, out)?;
        for (class, credit) in credits {
            self.sessions.grant(&mailbox, class, &credit);
        }
        self.metrics.attaches += 1;
        let checkpoint = admission::checkpoint(tx, &mailbox)?;
        Ok(wire::Attached { generation: record.generation, checkpoint })
    }

    /// A device acknowledges what this store never gave it: the store is an older copy. Nothing is delivered before the device
    /// counts anew: by the numbers that it knows it would take what comes for what it has.
    fn older_store<S: Store + ?Sized>(
        &mut self,
        mailbox: &MailboxId,
        tx: &mut Overlay<'_, S>,
    ) -> Result<wire::Attached, Failed> {
        self.metrics.older_store += 1;
        let generation = admission::forget_generation(tx, mailbox, &mut *self.rng)?;
        Ok(wire::Attached { generation, checkpoint: admission::checkpoint(tx, mailbox)? })
    }

    fn start_session<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        mailbox: MailboxId,
        tx: &Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let first = |class| mailbox::queue(tx, &mailbox, class).map(|queue| queue.acked_through + 1);
        let cursors = (first(DurableClass::Zero)?, first(DurableClass::One)?);
        if let Some(older) = self.sessions.attach(conn, mailbox, cursors, &self.limits) {
            self.metrics.superseded += 1;
            self.close(older, GoodbyeCode::Superseded, "a newer connection attached", out);
        }
        Ok(())
    }

    pub(super) fn ack<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        ack: &wire::Ack,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), Failed> {
        let spans = AckSpans::from_wire(ack)?;
        let mailbox = self.attached(conn)?;
        let class = spans.class;
        self.metrics.acknowledged += mailbox::acknowledge_through(tx, &mailbox, class, spans.through, now)?;
        // Beyond that only what this connection was sent: to look for what is there would mean to pass over what was
        // acknowledged before, at each of as many acknowledgements as a connection may send.
        let beyond = self.sessions.acknowledged(&mailbox, &spans);
        self.metrics.acknowledged += mailbox::acknowledge_each(tx, &mailbox, class, &beyond, now)?;
        Ok(())
    }

    pub(super) fn put_checkpoint<S: Store + ?Sized>(
        &self,
        conn: ConnId,
        asked: wire::PutCheckpoint,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), Failed> {
        let mailbox = self.attached(conn)?;
        Ok(admission::put_checkpoint(tx, &mailbox, asked)?)
    }

    pub(super) fn credit(&mut self, conn: ConnId, credit: &wire::Credit) -> Result<(), Failed> {
        let class = credit_class(credit)?;
        let mailbox = self.attached(conn)?;
        self.sessions.grant(&mailbox, class, credit);
        Ok(())
    }

    fn attached(&self, conn: ConnId) -> Result<MailboxId, Refused> {
        self.sessions.mailbox_of(conn).ok_or_else(|| Refused::malformed("no mailbox is attached"))
    }
}

/// Whether something is acknowledged that was never given.
fn is_beyond<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    mailbox: &MailboxId,
    acks: &[AckSpans],
) -> Result<bool, StoreError> {
    for spans in acks {
        if spans.last() > mailbox::queue(tx, mailbox, spans.class)?.last_seq {
            return Ok(true);
        }
    }
    Ok(false)
}

type Parsed = (Vec<AckSpans>, Vec<(DurableClass, wire::Credit)>);

fn parse(asked: &wire::Attach) -> Result<Parsed, Malformed> {
    let classes = DurableClass::ALL.len();
    if asked.acks.len() > classes || asked.credits.len() > classes {
        return Err(Malformed::new("attach", "more acks or credits than classes"));
    }
    let acks = asked.acks.iter().map(AckSpans::from_wire).collect::<Result<_, _>>()?;
    let credits = asked.credits.iter().map(|credit| Ok((credit_class(credit)?, *credit)));
    Ok((acks, credits.collect::<Result<_, Malformed>>()?))
}

fn credit_class(credit: &wire::Credit) -> Result<DurableClass, Malformed> {
    DurableClass::from_wire(credit.class)
        .ok_or_else(|| Malformed::new("credit", "only classes 0 and 1 are credited"))
}
