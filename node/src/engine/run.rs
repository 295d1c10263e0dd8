use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use undertone_protocol::crypto::Crypto;
use undertone_protocol::ids::{DeviceId, UserId};
use undertone_protocol::keys::DeviceList;
use undertone_protocol::time::Timestamp;

use super::agenda::{Agenda, Side};
use super::clock::{self, Clock};
use super::context::{Context, Me};
use super::documents::Documents;
use super::fetches::Fetches;
use super::links::Links;
use super::publish::{self, Walk};
use super::types::{Input, Notice, Outputs};
use super::waiters::Waiters;
use super::{
    acknowledging, bundles, checkpoints, commands, custodians, finding, forks, forwards, frames, groups,
    healing, history, home, inbox, introducing, keys, linking, losses, own_list, receipts, records, relays,
    resend, sealing, sweep, vanishing,
};
use crate::LinkId;
use crate::event::Event;
use crate::store::{Contact, ContactState, NodeTx, StoreError};

/// How often old things are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// The node's machine. See the module's documentation for the contract.
pub struct Engine {
    me: Me,
    crypto: Box<dyn Crypto>,
    rng: ChaCha20Rng,
    groups: Documents,
    links: Links,
    fetches: Fetches,
    waiters: Waiters,
    agenda: Agenda,
    events: Vec<Event>,
    sweep_at: Timestamp,
    walk: Walk,
    clock: Clock,
}

/// Why an engine can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no account in the store: it was never finished.
    #[error("the store holds no account: run `undertone init` first")]
    NoAccount,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Loads the engine of the account that the store holds. `rng` must be seeded anew at every start.
    pub fn load(
        tx: &mut dyn NodeTx,
        crypto: Box<dyn Crypto>,
        mut rng: ChaCha20Rng,
        now: Timestamp,
    ) -> Result<Self, LoadError> {
        clock::mend(tx, now)?;
        let me = Me::new(tx.account()?.ok_or(LoadError::NoAccount)?);
        let mut links = Links::new(&mut rng);
        for relay in tx.home_relays()? {
            links.want_home(&relay.address, now);
        }
        let agenda = everything(&me, tx, now)?;
        Ok(Self {
            me,
            crypto,
            rng,
            groups: Documents::load(tx)?,
            links,
            fetches: Fetches::default(),
            waiters: Waiters::default(),
            agenda,
            events: Vec::new(),
            sweep_at: now,
            walk: Walk::default(),
            clock: Clock::new(now),
        })
    }

    /// Who this node is.
    pub const fn me(&self) -> &Me {
        &self.me
    }

    /// Handles one input.
    pub fn handle(
        &mut self,
        input: Input,
        now: Timestamp,
        tx: &mut dyn NodeTx,
        out: &mut Outputs,
    ) -> Result<(), StoreError> {
        self.look_at_clock(now, tx)?;
        match input {
            Input::Ask(ask) => {
                let Parts { mut ctx, links, waiters, .. } = self.parts(tx, now);
                commands::ask(&mut ctx, links, waiters, ask, out)?;
            }
            Input::LinkUp { link } => self.links.up(&link, now, out),
            Input::LinkDown { link, reason } => {
                if self.links.down(&link, &reason.0, now) {
                    self.is_down(&link, reason.0);
                }
                self.agenda.publish = true;
                self.fetches.look_again();
            }
            Input::Frame { link: id, frame } => {
                if let Some(link) = self.links.get_mut(&id) {
                    link.heard(now);
                }
                let Parts { mut ctx, links, fetches, .. } = self.parts(tx, now);
                frames::frame(&mut ctx, links, fetches, id, frame, out)?;
            }
            Input::Tick => {}
        }
        self.reload(tx)
    }

    /// Where the clock was set back, nothing waits for what was the time before.
    fn look_at_clock(&mut self, now: Timestamp, tx: &mut dyn NodeTx) -> Result<(), StoreError> {
        let Some(by) = self.clock.set_back(now) else { return Ok(()) };
        self.links.set_back(by);
        self.fetches.set_back(by);
        self.waiters.set_back(by);
        self.agenda.set_back(by);
        self.walk.set_back();
        self.sweep_at = self.sweep_at.before(by);
        if clock::is_large(by) {
            tracing::warn!(seconds = by.as_secs(), "the clock was set back");
            self.sweep_at = now;
            if let Some(account) = clock::mend(tx, now)? {
                self.me = Me::new(account);
            }
        }
        Ok(())
    }

    /// A connection that was ready is gone.
    fn is_down(&mut self, link: &LinkId, reason: String) {
        if self.links.stands_for_relay(link) {
            self.events.push(Event::RelayDown { relay: link.relay.to_hex(), reason });
        }
    }

    /// Takes in what changed of the account.
    fn reload(&mut self, tx: &dyn NodeTx) -> Result<(), StoreError> {
        if std::mem::take(&mut self.agenda.reload)
            && let Some(account) = tx.account()?
        {
            self.me = Me::new(account);
        }
        Ok(())
    }

    /// Does what the inputs made due: seals, publishes, acknowledges, answers. Once, before the commit.
    pub fn settle(
        &mut self,
        now: Timestamp,
        tx: &mut dyn NodeTx,
        out: &mut Outputs,
    ) -> Result<(), StoreError> {
        self.look_at_clock(now, tx)?;
        for (link, reason) in self.links.tick(now, out) {
            self.is_down(&link, reason);
            self.fetches.look_again();
        }
        let sweep = now >= self.sweep_at;
        if sweep {
            self.sweep_at = now.after(SWEEP_EVERY);
        }
        if sweep {
            self.renew_keys(now, tx)?;
        }
        let Parts { mut ctx, links, .. } = self.parts(tx, now);
        if sweep {
            losses::look(&mut ctx, links)?;
            sweep::sweep(&mut ctx)?;
            home::sweep(&mut ctx)?;
            linking::sweep(&mut ctx)?;
            forwards::sweep(&mut ctx)?;
            groups::sweep(&mut ctx)?;
            history::look_for_lost(ctx.me, &*ctx.tx, ctx.agenda, now)?;
        }
        inbox::retry_quarantine(&mut ctx)?;
        receipts::take_in_due(&mut ctx)?;
        records::follow_due(&mut ctx)?;
        records::tell_due(&mut ctx)?;
        self.reload(tx)?;
        let Parts { mut ctx, links, fetches, waiters, walk } = self.parts(tx, now);
        vanishing::due(&mut ctx)?;
        if ctx.me.is_silenced() {
            // Nothing goes out any more, nor is anything asked for.
            waiters.check(&mut ctx, links, out)?;
            out.notices.extend(self.events.drain(..).map(Notice::Event));
            return Ok(());
        }
        healing::due(&mut ctx)?;
        history::compare_due(&mut ctx)?;
        history::reached_due(&mut ctx);
        resend::look_due(&mut ctx)?;
        forks::show_proofs(&mut ctx)?;
        introducing::seal_due(&mut ctx)?;
        groups::seal_due(&mut ctx)?;
        sealing::seal_due(&mut ctx)?;
        acknowledging::seal_due(&mut ctx)?;
        home::upkeep(&mut ctx, links, out)?;
        checkpoints::put_due(&mut ctx, links, out)?;
        bundles::fetch_due(&mut ctx, links, fetches, out)?;
        if sweep {
            relays::sweep(&mut ctx, links, out)?;
            custodians::look(&mut ctx, links)?;
        }
        custodians::due(&mut ctx, links)?;
        finding::ask(&mut ctx, links, out);
        publish::publish(&mut ctx, links, walk, out)?;
        inbox::acknowledge(&mut ctx, links, out)?;
        waiters.check(&mut ctx, links, out)?;
        // Links that were just wanted are connected now.
        for (link, reason) in self.links.tick(now, out) {
            self.is_down(&link, reason);
            self.fetches.look_again();
        }
        out.notices.extend(self.events.drain(..).map(Notice::Event));
        Ok(())
    }

    /// Makes new keys when it is time. The device introduces itself again with them: what it said of itself before may
    /// have expired unread, or been lost with a relay's disk.
    fn renew_keys(&mut self, now: Timestamp, tx: &mut dyn NodeTx) -> Result<(), StoreError> {
        let made = self.me.account.keys_made;
        let renewed = keys::renewed(&self.me, &self.links, self.crypto.as_mut(), &mut self.rng, tx, now)?;
        let Some(account) = renewed else { return Ok(()) };
        self.me = Me::new(account);
        if self.me.account.keys_made == made {
            return Ok(());
        }
        own_list::introduce_to_all(&mut self.parts(tx, now).ctx)
    }

    /// When to give [`Input::Tick`] at the latest.
    pub fn next_deadline(&self) -> Timestamp {
        let lasting = self.links.next_deadline().into_iter().chain(self.waiters.next_deadline());
        let lasting = lasting.chain((!self.agenda.take_in.is_empty()).then_some(Timestamp::ZERO));
        let lasting = lasting.chain(self.agenda.vanishes_at).fold(self.sweep_at, Timestamp::min);
        // A device that is silenced does nothing of the rest any more.
        if self.me.is_silenced() { lasting } else { self.next_work().fold(lasting, Timestamp::min) }
    }

    /// When what an active device has to do is due.
    fn next_work(&self) -> impl Iterator<Item = Timestamp> {
        let work = self.fetches.next_deadline().into_iter().chain(self.walk.next_deadline());
        let compare = self.agenda.compare.values().chain(self.agenda.left_out.values()).copied();
        let compare = compare.chain(self.agenda.looks.next_deadline());
        work.chain(self.links.next_upkeep())
            .chain(compare)
            .chain(self.agenda.retry_again.values().map(|(_, at)| *at))
            .chain(self.agenda.receipts_at)
            .chain(self.agenda.custodians_at)
            .chain(self.agenda.renamed.values().copied())
            .chain(self.agenda.seek.values().map(|(at, _)| *at))
            .chain(groups::next_deadline(&self.agenda.updates, &self.agenda.updated))
    }

    fn parts<'a>(&'a mut self, tx: &'a mut dyn NodeTx, now: Timestamp) -> Parts<'a> {
        let ctx = Context {
            tx,
            now,
            me: &self.me,
            crypto: self.crypto.as_mut(),
            rng: &mut self.rng,
            groups: &mut self.groups,
            agenda: &mut self.agenda,
            events: &mut self.events,
        };
        Parts {
            ctx,
            links: &mut self.links,
            fetches: &mut self.fetches,
            waiters: &mut self.waiters,
            walk: &mut self.walk,
        }
    }
}

struct Parts<'a> {
    ctx: Context<'a>,
    links: &'a mut Links,
    fetches: &'a mut Fetches,
    waiters: &'a mut Waiters,
    walk: &'a mut Walk,
}

/// A user's list names these devices. Where another one's did before, a device's own bundle says whose it is.
pub(super) fn note_listed(
    tx: &dyn NodeTx,
    agenda: &mut Agenda,
    user: UserId,
    list: &DeviceList,
) -> Result<(), StoreError> {
    agenda.note_devices(user, list);
    for device in list.devices.iter().map(|listed| listed.certificate.device) {
        if agenda.devices.get(&device) != Some(&user)
            && let Some(peer) = tx.peer_device(&device)?
        {
            agenda.note_device(device, peer.user);
        }
    }
    Ok(())
}

/// At a start anything may be due.
pub(super) fn everything(me: &Me, tx: &dyn NodeTx, now: Timestamp) -> Result<Agenda, StoreError> {
    let mut agenda = Agenda { publish: true, receipts: true, quarantine: true, ..Agenda::default() };
    inbox::count_quarantine(tx, &mut agenda)?;
    agenda.vanishes_at = tx.next_expiry()?;
    tx.forwards()?.iter().for_each(|forward| agenda.routing.note(forward));
    agenda.note_devices(me.user, &me.account.device_list);
    for contact in tx.contacts()? {
        if let Some(list) = &contact.device_list {
            note_listed(tx, &mut agenda, contact.user, list)?;
        }
        agenda.note_introduced(contact.user, &contact.introduced);
        // Members of groups who are no contacts have no conversation of their own.
        if contact.state == ContactState::Member {
            agenda.fetch.insert(contact.user);
            agenda.strangers.insert(contact.user);
            continue;
        }
        agenda.directory.insert(me.direct(&contact.user), Side::User(contact.user));
        acknowledging::look_behind(tx, &mut agenda, &me.direct(&contact.user))?;
        receipts::look_at_rest(tx, &mut agenda, &listed(&contact), &me.direct(&contact.user))?;
        if contact.introduction_due {
            agenda.introduce.insert(contact.user);
        }
        if contact.state == ContactState::Accepted {
            agenda.seal.insert(me.direct(&contact.user));
            // What was said meanwhile went to the others alone.
            if lacks_bundle(&contact, tx)? {
                agenda.fetch.insert(contact.user);
            }
        }
    }
    groups::look_at_all(tx, &mut agenda, now)?;
    history::look_at_all(me, tx, &mut agenda, now)?;
    Ok(agenda)
}

fn listed(contact: &Contact) -> Vec<DeviceId> {
    let listed = contact.device_list.iter().flat_map(|list| &list.devices);
    listed.map(|listed| listed.certificate.device).collect()
}

/// Whether there is a device of theirs that nothing can be sealed for yet.
fn lacks_bundle(contact: &Contact, tx: &dyn NodeTx) -> Result<bool, StoreError> {
    for access in &contact.bundles {
        if tx.peer_fetched(&access.device)?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}
