//! Two friends with two devices each: what a test asks of them, and what they show.

use std::time::Duration;

use undertone::command::{Command, InfoView, MessageView, Response};
use undertone::event::Event;
use undertone::log;
use undertone::store::{Delivery, NodeStore};
use undertone_protocol::entry::{Act, Annotation, Content, EntryBody, EntryHeader, SignedEntry};
use undertone_protocol::ids::{EntryId, UserId};
use undertone_protocol::keys::{DeviceKey, direct_conversation};
use undertone_protocol::receipts::Tick;
use undertone_tests::simulation::Stage;

pub(crate) const ALICE: usize = 0;
pub(crate) const BOB: usize = 1;
pub(crate) const PHONE: usize = 2;
pub(crate) const TABLET: usize = 3;
/// All devices, with what the other user is called there.
pub(crate) const ALL: [(usize, &str); 4] =
    [(ALICE, "Bob"), (BOB, "Alice"), (PHONE, "Bob"), (TABLET, "Alice")];
/// Longer than what one device lacks takes to come from another.
pub(crate) const LATER: Duration = Duration::from_secs(180);

/// Alice with desktop and phone, Bob with desktop and tablet.
pub(crate) fn friends() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    assert_eq!(stage.add_linked(ALICE, "phone").unwrap(), PHONE);
    assert_eq!(stage.add_linked(BOB, "tablet").unwrap(), TABLET);
    for (node, _) in ALL {
        stage.events(node);
    }
    stage
}

pub(crate) fn name(node: usize) -> String {
    ALL.iter().find(|(of, _)| *of == node).unwrap().1.to_owned()
}

/// The first digits of an id.
pub(crate) fn short(id: &str) -> String {
    id.get(..8).unwrap().to_owned()
}

pub(crate) fn done(stage: &mut Stage, node: usize, command: Command) -> MessageView {
    match stage.ask(node, command).unwrap() {
        Ok(Response::Message(view)) => view,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn say(stage: &mut Stage, node: usize, text: &str) -> String {
    let sent = done(stage, node, Command::Send { name: name(node), text: text.to_owned() });
    stage.run(Duration::from_secs(5)).unwrap();
    sent.id
}

pub(crate) fn react(node: usize, id: &str, reaction: &str) -> Command {
    Command::React { name: name(node), message: short(id), reaction: reaction.to_owned() }
}

pub(crate) fn edit(node: usize, id: &str, text: &str) -> Command {
    Command::Edit { name: name(node), message: short(id), text: text.to_owned() }
}

pub(crate) fn delete(node: usize, id: &str, for_me: bool) -> Command {
    Command::Delete { name: name(node), message: short(id), for_me }
}

pub(crate) fn pin(node: usize, id: &str, off: bool) -> Command {
    Command::Pin { name: name(node), message: short(id), off }
}

pub(crate) fn view(stage: &mut Stage, node: usize, id: &str) -> MessageView {
    let history = stage.history(node, &name(node)).unwrap();
    history.into_iter().find(|view| view.id == id).unwrap_or_else(|| panic!("not at {node}"))
}

pub(crate) fn info(stage: &mut Stage, node: usize, id: &str) -> InfoView {
    match stage.ask(node, Command::Info { name: name(node), message: short(id) }).unwrap() {
        Ok(Response::Info(info)) => info,
        other => panic!("{other:?}"),
    }
}

/// What two devices of one conversation must agree on.
fn shows(view: &MessageView) -> (String, bool, bool, bool, Vec<(String, String)>) {
    let reactions = view.reactions.iter().map(|one| (one.from.clone(), one.reaction.clone())).collect();
    (view.text.clone(), view.edited, view.deleted, view.pinned, reactions)
}

/// What all four devices show of a message.
pub(crate) fn agreed(stage: &mut Stage, id: &str) -> MessageView {
    let first = view(stage, ALICE, id);
    for (node, _) in ALL {
        let other = view(stage, node, id);
        assert_eq!(shows(&other), shows(&first), "at {node}");
    }
    first
}

/// Messages that were told as changed.
pub(crate) fn changed(stage: &mut Stage, node: usize) -> Vec<MessageView> {
    let changed = |event| match event {
        Event::Changed { message } => Some(message),
        _ => None,
    };
    stage.events(node).into_iter().filter_map(changed).collect()
}

/// A device that runs another program says something of a message.
pub(crate) fn craft(stage: &mut Stage, node: usize, target: &str, act: Act) {
    let target = entry_id(target);
    let other = if node == ALICE { BOB } else { ALICE };
    let other = UserId::from_hex(&stage.id(other).unwrap().user).unwrap();
    stage.stop(node).unwrap();
    let now = stage.now();
    let written = stage.disk(node).unwrap().transaction(|tx| {
        let account = tx.account()?.unwrap();
        let (user, device) = (account.certificate.user, account.certificate.device);
        let conversation = direct_conversation(&user, &other);
        let own = log::frontier_of(tx, &conversation, &device)?;
        let annotation = Content::Annotation(Annotation { entry: target, act: act.clone() });
        let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(own.seq);
        let body = EntryBody::new(annotation, &mut rng).unwrap();
        let header = EntryHeader {
            conversation,
            device,
            seq: own.seq + 1,
            prev: own.head,
            heads: tx.heads(&conversation, 16)?,
            claimed: now,
            membership_heads: Vec::new(),
            body_hash: body.hash(),
            expires: None,
        };
        let seq = header.seq;
        let entry =
            SignedEntry::issue(DeviceKey::from_seed(&account.device_seed).signing_key(), header, body);
        let id = entry.id;
        log::insert(tx, entry, now)?;
        let tick = Tick::Queued;
        tx.put_delivery(&Delivery { entry: id, conversation, seq, sealed: false, tick, failed: None })
    });
    written.unwrap();
    stage.start(node).unwrap();
}

pub(crate) fn entry_id(hex: &str) -> EntryId {
    EntryId::from_hex(hex).unwrap()
}
