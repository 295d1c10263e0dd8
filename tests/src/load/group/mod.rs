//! What a large group costs its members: real engines with real keys, the machine of a real relay, and no network. Alice
//! made the group, Bob is a member, and Joe becomes one; the other members are known to all but never answer, so what one
//! member does stands for what each does.

mod crowd;
mod hall;
mod meter;
mod party;

use std::time::Duration;

use anyhow::{Context, bail};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use undertone::command::{Command, Response};
use undertone::store::{ContactState, Group, HomeRelay, Member, Standing};
use undertone_protocol::ids::{ConversationId, Handle, UserId};
use undertone_protocol::keys::{DeviceKey, MailboxAddress, Name};
use undertone_protocol::membership::{
    Action, Create, Document, Operation, Role, SettingsChange, SignedOperation,
};
use undertone_protocol::time::Timestamp;

use super::options;
use super::report::Report;
use crowd::grant;
use hall::Hall;
use meter::Meter;
use party::Party;

const GROUP: &str = "Club";
/// How many may be in it, so that one more always has room.
const CAP: usize = 1_024;
/// Until nothing moves after a message: acknowledgements come 3 s apart.
const SOON: Duration = Duration::from_secs(10);
/// Until a new member has met all others: a relay gives 300 bundles a minute. Soon after it would introduce itself again to
/// those who did not answer, which here is everybody.
const LATER: Duration = Duration::from_secs(400);

pub(super) fn run(asked: &options::Group) -> anyhow::Result<Report> {
    let mut report = Report::new("group");
    report.count("members", asked.members.into());
    let mut world = World::new(asked.members as usize, asked.sqlite)?;
    world.start(&mut report)?;
    for (scene, who) in [("first_message", ALICE), ("message", ALICE), ("bobs_first_message", BOB)] {
        world.hall.ask(who, text(scene))?;
        world.hall.run(SOON)?;
        world.note(scene, &mut report)?;
    }
    let members = vec!["Joe".to_owned()];
    world
        .hall
        .ask(ALICE, Command::GroupAdd { group: GROUP.to_owned(), members, role: "member".to_owned() })?;
    world.hall.run(LATER)?;
    world.note("add", &mut report)?;
    for (scene, who) in [("message_after_add", ALICE), ("bobs_message_after_add", BOB)] {
        world.hall.ask(who, text(scene))?;
        world.hall.run(SOON)?;
        world.note(scene, &mut report)?;
    }
    let member = "Member 0".to_owned();
    world.hall.ask(ALICE, Command::GroupRemove { group: GROUP.to_owned(), member })?;
    world.hall.run(SOON)?;
    world.note("remove", &mut report)?;
    world.hall.ask(BOB, text("after it"))?;
    world.hall.run(SOON)?;
    world.note("rotation", &mut report)?;
    Ok(report)
}

fn text(text: &str) -> Command {
    Command::Send { name: GROUP.to_owned(), text: format!("{text}, and a few words more") }
}

const ALICE: usize = 0;
const BOB: usize = 1;
const JOE: usize = 2;

struct World {
    hall: Hall,
}

impl World {
    fn new(members: usize, sqlite: bool) -> anyhow::Result<Self> {
        let mut hall = Hall::new(sqlite);
        for name in ["Alice", "Bob", "Joe"] {
            hall.add(name)?;
        }
        meet(&mut hall, ALICE, BOB)?;
        meet(&mut hall, ALICE, JOE)?;
        let mut crowd = hall.crowd(members.saturating_sub(2))?;
        let now = hall.now;
        let users: Vec<UserId> = crowd.iter().map(|extra| extra.user).collect();
        let bob = hall.party(BOB)?.user;
        let document = document(hall.party(ALICE)?, &[vec![bob], users].concat())?;
        let group = document.group();
        let saved = document.save();
        for (party, state) in [(ALICE, ContactState::Accepted), (BOB, ContactState::Member)] {
            let mut rng = fork(&mut hall.rng);
            hall.party(party)?.put(|tx| {
                for extra in &mut crowd {
                    extra.known_to(tx, state, &mut rng, now)?;
                    extra.member_of(tx, group, &mut rng, now)?;
                }
                let name = GROUP.to_owned();
                tx.put_group(&Group { id: group, name, standing: Standing::In, added: now })?;
                Ok(tx.put_group_document(&group, &saved)?)
            })?;
        }
        for (party, other) in [(ALICE, BOB), (BOB, ALICE)] {
            let member = member(&mut hall, other, group)?;
            hall.party(party)?.put(|tx| Ok(tx.put_member(&member)?))?;
        }
        Ok(Self { hall })
    }

    /// The engines are loaded anew, with the group.
    fn start(&mut self, report: &mut Report) -> anyhow::Result<()> {
        self.hall.relay_cpu = Duration::ZERO;
        self.hall.parties.iter_mut().for_each(|party| party.meter = Meter::default());
        for party in [ALICE, BOB] {
            self.hall.restart(party)?;
        }
        self.hall.run(SOON)?;
        self.note("start", report)
    }

    /// What each device's share of a scene was.
    fn note(&mut self, scene: &str, report: &mut Report) -> anyhow::Result<()> {
        let relay_cpu = std::mem::take(&mut self.hall.relay_cpu);
        report.number(&format!("{scene}.relay.cpu_ms"), ms(relay_cpu));
        for party in &mut self.hall.parties {
            let meter = std::mem::take(&mut party.meter);
            let name = party.name.to_lowercase();
            let named = |what: &str| format!("{scene}.{name}.{what}");
            report.number(&named("cpu_ms"), ms(meter.cpu()));
            let (what, worst) = meter.worst();
            report.number(&named(&format!("worst_step_cpu_ms.{what}")), ms(worst));
            for (what, steps) in &meter.steps {
                report.count(&named(&format!("steps.{what}")), steps.count);
                report.number(&named(&format!("cpu_ms.{what}")), ms(steps.cpu));
            }
            report.count(&named("publishes"), meter.publishes);
            report.count(&named("published_bytes"), meter.published_bytes);
            report.count(&named("other_sent_bytes"), meter.other_bytes);
            report.count(&named("received_bytes"), meter.received_bytes);
            report.count(&named("bundles_asked"), meter.bundles);
            for (kind, items) in &meter.items {
                report.count(&named(&format!("{kind}.items")), items.count);
                report.count(&named(&format!("{kind}.recipients")), items.recipients);
                report.count(&named(&format!("{kind}.payload_bytes")), items.payload_bytes);
            }
        }
        Ok(())
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn fork(rng: &mut ChaCha20Rng) -> ChaCha20Rng {
    rand_core::SeedableRng::seed_from_u64(rng.next_u64())
}

/// Two users become contacts.
fn meet(hall: &mut Hall, inviting: usize, joining: usize) -> anyhow::Result<()> {
    let life = Duration::from_secs(3_600);
    let Response::Invitation(made) = hall.ask(inviting, Command::Invite { uses: 1, life })? else {
        bail!("no invitation")
    };
    hall.ask(joining, Command::ContactAdd { link: made.link, name: None, message: None })?;
    hall.run(SOON)?;
    let name = hall.party(joining)?.name.to_owned();
    hall.ask(inviting, Command::ContactAccept { name })?;
    hall.run(SOON)
}

/// A group that somebody made and let others into, one after the other.
fn document(maker: &mut Party, others: &[UserId]) -> anyhow::Result<Document> {
    let account = maker.put(|tx| Ok(tx.account()?))?.context("no account")?;
    let key = DeviceKey::from_seed(&account.device_seed);
    let certificate = Operation::certificate_hash(&account.certificate);
    let settings = SettingsChange { name: Some(Name::new(GROUP)?), ..SettingsChange::default() };
    let create = Operation {
        group: None,
        device: key.device(),
        certificate,
        parents: Vec::new(),
        number: 0,
        action: Action::Create(Create { salt: [7; 16], cap: CAP, settings }),
    };
    let create = SignedOperation::issue(&key, create)?;
    let mut document = Document::new(Document::group_of(&create));
    let take = |document: &mut Document, signed: SignedOperation| {
        document.take(key.device(), signed.signed(), |_| Some(account.certificate.clone())).map(drop)
    };
    take(&mut document, create)?;
    for user in others {
        let add = Action::Add { user: *user, role: Role::Member };
        let add = document.draft(&account.certificate.user, key.device(), certificate, add);
        let add = add.context("too many operations")?;
        take(&mut document, SignedOperation::issue(&key, add)?)?;
    }
    Ok(document)
}

/// A real device's user as another one knows them in a group.
fn member(hall: &mut Hall, party: usize, group: ConversationId) -> anyhow::Result<Member> {
    let now: Timestamp = hall.now;
    let handles = [Handle::random(&mut hall.rng), Handle::random(&mut hall.rng)];
    let token = Handle::random(&mut hall.rng);
    let party = hall.party(party)?;
    let homes: Vec<HomeRelay> = party.put(|tx| Ok(tx.home_relays()?))?;
    let home = homes.first().context("a device without a relay")?;
    let HomeRelay { address: relay, mailbox, epoch, priority, secret, .. } = home.clone();
    let address = MailboxAddress { relay, mailbox, epoch, priority };
    let grants = vec![grant(party.device, &address, &secret, &handles)?];
    let introduced = vec![(party.device, now)];
    Ok(Member { grants, introduced, ..Member::new(group, party.user, token, 1) })
}
