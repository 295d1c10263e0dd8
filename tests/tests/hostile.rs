//! A relay that alters what it delivers and answers: nothing of that changes what a device knows, and what was really
//! sent shows all the same.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use undertone::command::Command;
use undertone_protocol::wire::{self, Frame, frame::Body};
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
/// What may come of a payload that can't be opened: it was there, and may be looked at again.
const MARKS: [&str; 4] = ["home_relays", "seen", "quarantine", "counters"];
const LATER: Duration = Duration::from_secs(900);

/// What the relay does to bytes that somebody signed or sealed.
#[derive(Debug, Clone)]
enum Harm {
    Flip(Index, u8),
    Cut(Index),
    Lengthen(Vec<u8>),
    /// Other such bytes stand in their place.
    Swap(Index),
    Random(Vec<u8>),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        4 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        2 => any::<Index>().prop_map(Harm::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Harm::Lengthen),
        2 => any::<Index>().prop_map(Harm::Swap),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Harm::Random),
    ]
}

impl Harm {
    /// The bytes, altered; `None` when nothing would change.
    fn done(&self, bytes: &[u8], others: &[Bytes]) -> Option<Bytes> {
        let mut harmed = bytes.to_vec();
        match self {
            Self::Flip(..) | Self::Cut(_) if bytes.is_empty() => return None,
            Self::Flip(at, bit) => harmed.get_mut(at.index(bytes.len())).map(|byte| *byte ^= 1 << bit)?,
            Self::Cut(at) => harmed.truncate(at.index(bytes.len())),
            Self::Lengthen(more) => harmed.extend(more),
            Self::Swap(with) if !others.is_empty() => harmed = with.get(others).to_vec(),
            Self::Swap(_) => return None,
            Self::Random(bytes) => harmed.clone_from(bytes),
        }
        (harmed != bytes).then(|| harmed.into())
    }
}

/// What is signed or sealed in a frame.
fn sealed(frame: &mut Frame) -> Vec<&mut Bytes> {
    match &mut frame.body {
        Some(Body::Deliver(deliver)) => vec![&mut deliver.payload],
        Some(Body::Bundle(answer)) => vec![&mut answer.bundle, &mut answer.prekey],
        Some(Body::Published(wire::Published { receipt: Some(receipt) })) => {
            vec![&mut receipt.body, &mut receipt.signature]
        }
        _ => Vec::new(),
    }
}

/// The frame with all that is signed or sealed in it altered.
fn harmed(frame: &Frame, harm: &Harm, others: &[Bytes]) -> Option<Frame> {
    let mut frame = frame.clone();
    let mut changed = false;
    for bytes in sealed(&mut frame) {
        if let Some(altered) = harm.done(bytes, others) {
            *bytes = altered;
            changed = true;
        }
    }
    changed.then_some(frame)
}

/// What a device knows, marks left out.
fn known(stage: &mut Stage, node: usize) -> BTreeMap<&'static str, String> {
    let mut known = stage.disk(node).unwrap().contents();
    known.retain(|table, _| !MARKS.contains(table));
    known
}

fn friends() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    stage.send(ALICE, "Bob", "from Alice").unwrap();
    stage.send(BOB, "Alice", "from Bob").unwrap();
    stage
}

fn send(stage: &mut Stage, node: usize, name: &str, text: &str) {
    stage.ask(node, Command::Send { name: name.to_owned(), text: text.to_owned() }).unwrap().unwrap();
}

/// All bytes that others signed or sealed, to stand in the place of others.
fn spare(frames: &[Frame]) -> Vec<Bytes> {
    let mut frames = frames.to_vec();
    frames.iter_mut().flat_map(|frame| sealed(frame).into_iter().map(|bytes| bytes.clone())).collect()
}

/// One of both says something, and what comes to `victim` is given to it altered. Then the connection ends, as it does
/// when a relay lies, and the relay behaves.
fn suffers(victim: usize, harms: &[Harm]) {
    let mut stage = friends();
    stage.hold_all(victim);
    send(&mut stage, ALICE, "Bob", "one");
    stage.ask(ALICE, Command::Read { name: "Bob".to_owned() }).unwrap().unwrap();
    let heard = stage.let_go_all();
    let frames: Vec<Frame> = heard.iter().map(|(_, frame)| frame.clone()).collect();
    assert!(frames.iter().any(|frame| !sealed(&mut frame.clone()).is_empty()), "nothing came");
    let before = known(&mut stage, victim);
    let others = spare(&frames);
    for harm in harms {
        let harmed = heard.iter().filter_map(|(link, frame)| Some((link, harmed(frame, harm, &others)?)));
        for (link, frame) in harmed {
            // What stands in another's place is true where nothing else says what it answers.
            if matches!((harm, &frame.body), (Harm::Swap(_), Some(Body::Deliver(_)))) {
                continue;
            }
            stage.give_on(victim, *link, frame).unwrap();
        }
    }
    let after = known(&mut stage, victim);
    for (table, rows) in &before {
        assert_eq!(Some(rows), after.get(table), "{table}");
    }
    arrives(&mut stage, victim);
}

#[test]
fn a_delivery_that_nobody_keeps_ends_no_connection() {
    let mut stage = friends();
    stage.events(BOB);
    let deliver = wire::Deliver { class: 2, seq: 0, payload: Bytes::from_static(b"typing, maybe") };
    stage.give(BOB, Frame { request: 0, body: Some(Body::Deliver(deliver)) }).unwrap();
    let relay = stage.status(BOB).unwrap().relays.pop().unwrap();
    assert!(relay.connected, "{relay:?}");
}

/// How often a node publishes in ten minutes to a relay that refuses each publish.
fn publishes_where_all_are_refused(retry_after_ms: u64) -> usize {
    let mut stage = friends();
    stage.hold_all(ALICE);
    send(&mut stage, ALICE, "Bob", "one");
    stage.refuse_publishes(ALICE, Some(retry_after_ms));
    stage.let_go();
    stage.unplug(ALICE).unwrap();
    stage.plug(ALICE).unwrap();
    stage.run(Duration::from_secs(480)).unwrap();
    let refused = stage.refused_publishes();
    stage.refuse_publishes(ALICE, None);
    stage.run(Duration::from_secs(700)).unwrap();
    assert_eq!(stage.said(BOB, "Alice").unwrap(), ["from Alice", "from Bob", "one"]);
    refused
}

#[test]
fn what_a_relay_refuses_is_not_published_again_at_once() {
    let refused = publishes_where_all_are_refused(0);
    assert!((5..60).contains(&refused), "{refused} times");
    let refused = publishes_where_all_are_refused(120_000);
    assert!((2..12).contains(&refused), "{refused} times");
}

/// What a relay may answer or say, with anything in it.
fn anything() -> impl Strategy<Value = Frame> {
    let number = || prop_oneof![Just(0), Just(1), Just(u64::MAX), 0..20u64, any::<u64>()];
    let bytes = || {
        let lengths = prop_oneof![Just(0usize), Just(8), Just(16), Just(32), Just(64), 0..200usize];
        lengths.prop_flat_map(|length| prop::collection::vec(any::<u8>(), length).prop_map(Bytes::from))
    };
    let signed = move || {
        prop::option::of((bytes(), bytes()).prop_map(|(body, signature)| wire::Signed { body, signature }))
    };
    let small = || any::<u8>().prop_map(i32::from);
    // A delivery under a number to come takes the place of that one: a relay can swallow what it holds anyway.
    let past = prop_oneof![Just(0), Just(1), Just(u64::MAX)];
    let body = prop_oneof![
        (number(), past).prop_map(|(class, seq)| (class as u32, seq)).prop_flat_map(move |(class, seq)| {
            bytes().prop_map(move |payload| Body::Deliver(wire::Deliver { class: class % 4, seq, payload }))
        }),
        bytes().prop_map(|generation| Body::Registered(wire::Registered { generation })),
        (bytes(), signed()).prop_map(|(generation, checkpoint)| {
            Body::Attached(wire::Attached { generation, checkpoint })
        }),
        signed().prop_map(|receipt| Body::Published(wire::Published { receipt })),
        (bytes(), bytes()).prop_map(|(bundle, prekey)| Body::Bundle(wire::BundleAnswer { bundle, prekey })),
        (any::<u32>(), number())
            .prop_map(|(left, batch)| Body::PrekeysLeft(wire::PrekeysLeft { left, batch })),
        (small(), number(), ".*").prop_map(|(code, retry_after_ms, text)| {
            Body::Refusal(wire::Refusal { code, text, retry_after_ms })
        }),
        (small(), ".*").prop_map(|(code, text)| Body::Goodbye(wire::Goodbye { code, text })),
        number().prop_map(|nonce| Body::Ping(wire::Ping { nonce })),
        number().prop_map(|nonce| Body::Pong(wire::Pong { nonce })),
        Just(Body::Done(wire::Done {})),
        Just(Body::Welcome(wire::Welcome::default())),
        Just(Body::Hello(wire::Hello::default())),
    ];
    (0..40u64, body).prop_map(|(request, body)| Frame { request, body: Some(body) })
}

/// What a relay's bare word can change: how it is reached and what it keeps of this device.
const UPKEEP: [&str; 4] = ["olm_account", "revocations", "invitations", "outbox"];

/// Whatever a relay says, it invents no messages, contacts or ticks, and what is really sent arrives afterwards.
fn hears(frames: Vec<Frame>) {
    let mut stage = friends();
    stage.hold_all(ALICE);
    send(&mut stage, ALICE, "Bob", "one");
    stage.let_go();
    let hidden = stage.hidden();
    let before = known(&mut stage, ALICE);
    for frame in frames {
        stage.give_on(ALICE, hidden, frame.clone()).unwrap();
        stage.give(ALICE, frame).unwrap();
    }
    let after = known(&mut stage, ALICE);
    for (table, rows) in before.iter().filter(|(table, _)| !UPKEEP.contains(table)) {
        assert_eq!(Some(rows), after.get(table), "{table}");
    }
    arrives(&mut stage, ALICE);
}

/// After the connection was made anew, all that was said is on both sides, with its ticks.
fn arrives(stage: &mut Stage, victim: usize) {
    stage.unplug(victim).unwrap();
    stage.plug(victim).unwrap();
    send(stage, BOB, "Alice", "two");
    send(stage, ALICE, "Bob", "three");
    stage.run(LATER).unwrap();
    for (node, name) in [(ALICE, "Bob"), (BOB, "Alice")] {
        let mut said = stage.said(node, name).unwrap();
        said.sort();
        assert_eq!(said, ["from Alice", "from Bob", "one", "three", "two"], "{name}");
        let history = stage.history(node, name).unwrap().into_iter();
        let is_there = |state: &str| ["delivered", "read"].contains(&state);
        assert!(history.filter(|message| message.mine).all(|message| is_there(&message.state)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn whatever_a_relay_says_it_invents_nothing(frames in prop::collection::vec(anything(), 1..40)) {
        hears(frames);
    }

    #[test]
    fn what_comes_altered_changes_nothing(harms in prop::collection::vec(harm(), 1..6)) {
        suffers(BOB, &harms);
    }

    #[test]
    fn answers_that_are_altered_change_nothing(harms in prop::collection::vec(harm(), 1..6)) {
        suffers(ALICE, &harms);
    }
}
