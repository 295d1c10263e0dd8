use std::collections::BTreeMap;

use undertone_protocol::codec::Malformed;
use undertone_protocol::ids::{Handle, MailboxId, Secret};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{self, Proof, ProofInput, Step, TokenDenied};
use undertone_protocol::wire::{self, DenialReason};

use super::introductions::{Charged, bound};
use super::rates::{Rate, RateClock, TooFast};
use super::record::{self, Mailbox};
use super::revocation::is_revoked;
use crate::limits::Limits;
use crate::store::{Overlay, Store, StoreError};

/// A recipient's claim to deliver, form checked.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// To which mailbox.
    pub(crate) mailbox: MailboxId,
    epoch: u32,
    path: Vec<Step>,
    proof: Proof,
}

impl Claim {
    /// Checks the form.
    pub(crate) fn from_wire(recipient: &wire::Recipient) -> Result<Self, Malformed> {
        let (proof, path) = Proof::from_recipient(recipient)?;
        let mailbox = MailboxId::from_slice(&recipient.mailbox)?;
        Ok(Self { mailbox, epoch: recipient.epoch, path, proof })
    }
}

/// What the token alone decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Refused, whatever the mailbox holds.
    Denied(DenialReason),
    /// The proof holds, but the token has ended: only what is known already may be told.
    Ended,
    /// It holds.
    Holds(Mailbox),
}

/// Checks a claim against the mailbox's secret and revocations. Rates and uses are charged by
/// [`charge`], after deduplication: a repeat takes nothing.
pub(crate) fn check<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    claim: &Claim,
    input: &ProofInput,
    class: u8,
    now: Timestamp,
) -> Result<Verdict, StoreError> {
    let Some(record) = record::read(tx, &claim.mailbox)? else {
        return Ok(Verdict::Denied(DenialReason::UnknownMailbox));
    };
    if claim.epoch != record.epoch {
        return Ok(Verdict::Denied(DenialReason::Epoch));
    }
    let secret =
        Secret::from_slice(&record.secret).map_err(|_| StoreError::Corrupt { what: "mailbox record" })?;
    let ended = match token::check(&secret, &claim.path, &claim.proof, input, class, now) {
        Err(TokenDenied::Proof) => return Ok(Verdict::Denied(DenialReason::Proof)),
        Err(TokenDenied::Rights) => return Ok(Verdict::Denied(DenialReason::Rights)),
        Err(TokenDenied::Expired) => true,
        Ok(()) => false,
    };
    for steps in 1..=claim.path.len() {
        let handles = claim.path.iter().take(steps).map(|step| &step.handle);
        if is_revoked(tx, &claim.mailbox, &record, handles)? {
            return Ok(Verdict::Denied(DenialReason::Revoked));
        }
    }
    Ok(if ended { Verdict::Ended } else { Verdict::Holds(record) })
}

/// Why a delivery is not charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotCharged {
    /// The introduction does not allow it.
    Denied(DenialReason),
    /// One of the prefixes was too fast.
    TooFast(TooFast),
}

/// Charges a new delivery to its introduction and to each prefix of its path. The use, if it takes
/// one, counts when the caller hands it to [`super::take_use`].
pub(crate) fn charge<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    rates: &mut TokenRates,
    claim: &Claim,
    record: &Mailbox,
    limits: &Limits,
    now: Timestamp,
) -> Result<Result<Charged, NotCharged>, StoreError> {
    let taken = match bound(tx, &claim.mailbox, record, &claim.path, now)? {
        Ok(taken) => taken,
        Err(reason) => return Ok(Err(NotCharged::Denied(reason))),
    };
    let charged = rates.take(&claim.mailbox, &claim.path, limits).map(|()| Charged(taken));
    Ok(charged.map_err(NotCharged::TooFast))
}

/// What a sender is told to wait when the tables of rates are full of others, in milliseconds.
const TABLE_FULL_RETRY_MS: u64 = 60_000;

/// The rate of each token prefix that delivered lately; memory only, bounded for each mailbox and in all.
#[derive(Debug, Default)]
pub(crate) struct TokenRates {
    mailboxes: BTreeMap<MailboxId, BTreeMap<Vec<Handle>, Rate>>,
    count: usize,
    clock: RateClock,
}

impl TokenRates {
    pub(crate) fn new(clock: RateClock) -> Self {
        Self { mailboxes: BTreeMap::new(), count: 0, clock }
    }

    /// How many limiters are held.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    fn take(&mut self, mailbox: &MailboxId, path: &[Step], limits: &Limits) -> Result<(), TooFast> {
        self.make_room(mailbox, path.len(), limits)?;
        let prefixes = self.mailboxes.entry(*mailbox).or_default();
        let before = prefixes.len();
        let mut taken = Ok(());
        for steps in 1..=path.len() {
            let (Some(last), handles) = (path.get(steps - 1), path.iter().take(steps)) else { continue };
            let asked = if last.per_minute == 0 { u32::MAX } else { last.per_minute };
            let new = || Rate::per_minute(&self.clock, asked.min(limits.token_publishes_per_minute));
            taken = prefixes.entry(handles.map(|step| step.handle).collect()).or_insert_with(new).take();
            if taken.is_err() {
                break;
            }
        }
        self.count += prefixes.len() - before;
        taken
    }

    /// Forgets what makes no difference any more; then, if all tables are full, the mailbox with the most.
    fn make_room(&mut self, mailbox: &MailboxId, more: usize, limits: &Limits) -> Result<(), TooFast> {
        let full = |prefixes: &BTreeMap<_, _>| prefixes.len() + more > limits.token_rates_per_mailbox_max;
        if let Some(prefixes) = self.mailboxes.get_mut(mailbox).filter(|prefixes| full(prefixes)) {
            let before = prefixes.len();
            prefixes.retain(|_, rate| !rate.is_replenished());
            self.count -= before - prefixes.len();
            if full(prefixes) {
                return Err(TooFast { retry_after_ms: TABLE_FULL_RETRY_MS });
            }
        }
        if self.count + more > limits.token_rates_max {
            self.forget_replenished();
        }
        if self.count + more > limits.token_rates_max {
            let largest = self.mailboxes.iter().max_by_key(|(_, prefixes)| prefixes.len());
            if let Some(largest) = largest.map(|(mailbox, _)| *mailbox) {
                self.count -= self.mailboxes.remove(&largest).map_or(0, |prefixes| prefixes.len());
            }
        }
        Ok(())
    }

    /// Forgets every limiter that is as good as new.
    pub(crate) fn forget_replenished(&mut self) {
        for prefixes in self.mailboxes.values_mut() {
            prefixes.retain(|_, rate| !rate.is_replenished());
        }
        self.mailboxes.retain(|_, prefixes| !prefixes.is_empty());
        self.count = self.mailboxes.values().map(BTreeMap::len).sum();
    }
}
