//! Replies, reactions, edits, deletions, pins and what is hidden, on the real machines without faults: two users, each
//! with two devices.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod kinds {
    pub(crate) mod friends;
}

use std::time::Duration;

use kinds::friends::{
    ALICE, ALL, BOB, LATER, PHONE, TABLET, agreed, changed, craft, delete, done, edit, entry_id, friends,
    info, name, pin, react, say, short, view,
};
use undertone::command::{Command, ErrorKind, HistoryItem, Response};
use undertone::event::Event;
use undertone::log;
use undertone::store::NodeStore;
use undertone_protocol::entry::{Act, Text};
use undertone_tests::simulation::Stage;

#[test]
fn everything_shows_on_all_four_devices() {
    let mut stage = friends();
    let id = say(&mut stage, ALICE, "see you at nine, @Bob");
    let reply = Command::Reply { name: "Alice".to_owned(), message: short(&id), text: "fine".to_owned() };
    let answer = done(&mut stage, TABLET, reply);
    done(&mut stage, BOB, react(BOB, &id, "👍"));
    done(&mut stage, PHONE, react(PHONE, &id, "🎉"));
    done(&mut stage, PHONE, edit(PHONE, &id, "see you at ten, @Bob"));
    let pinned = done(&mut stage, TABLET, pin(TABLET, &id, false));
    assert_eq!(pinned.change.unwrap().kind, "pin");
    stage.run(LATER).unwrap();
    let shown = agreed(&mut stage, &id);
    assert!(shown.edited && shown.pinned && !shown.deleted);
    assert_eq!(shown.text, "see you at ten, @Bob");
    let reactions: Vec<_> = shown.reactions.iter().map(|one| one.reaction.as_str()).collect();
    assert!(reactions.contains(&"👍") && reactions.contains(&"🎉"), "{reactions:?}");
    for (node, _) in ALL {
        let quote = view(&mut stage, node, &answer.id).reply_to.unwrap();
        assert_eq!((quote.id.as_str(), quote.text.as_deref()), (id.as_str(), Some("see you at ten, @Bob")));
        assert_eq!(quote.from.as_deref(), Some("Alice"));
        // Nothing of it is a line of its own.
        let name = name(node);
        assert_eq!(stage.said(node, &name).unwrap(), ["see you at ten, @Bob", "fine"], "at {node}");
    }
    assert!(view(&mut stage, BOB, &id).mentions.iter().any(|mention| mention.me));
    let told = changed(&mut stage, BOB);
    assert!(told.iter().any(|view| view.edited) && told.iter().any(|view| view.pinned), "{told:?}");
    assert!(told.iter().all(|view| view.id == id));

    done(&mut stage, TABLET, react(TABLET, &id, ""));
    done(&mut stage, ALICE, pin(ALICE, &id, true));
    stage.run(LATER).unwrap();
    let shown = agreed(&mut stage, &id);
    assert!(!shown.pinned && shown.reactions.len() == 1, "{shown:?}");
}

#[test]
fn edits_at_once_on_two_devices_of_one_user_come_to_one() {
    let mut stage = friends();
    let id = say(&mut stage, ALICE, "first");
    stage.unplug(ALICE).unwrap();
    stage.unplug(PHONE).unwrap();
    done(&mut stage, ALICE, edit(ALICE, &id, "by the desktop"));
    done(&mut stage, PHONE, edit(PHONE, &id, "by the phone"));
    done(&mut stage, PHONE, react(PHONE, &id, "p"));
    done(&mut stage, ALICE, react(ALICE, &id, "d"));
    assert_ne!(view(&mut stage, ALICE, &id).text, view(&mut stage, PHONE, &id).text);
    stage.plug(PHONE).unwrap();
    stage.plug(ALICE).unwrap();
    stage.run(LATER).unwrap();
    let shown = agreed(&mut stage, &id);
    assert_eq!((shown.text.as_str(), shown.reactions.len()), ("by the phone", 1), "the later one");
    assert_eq!(shown.reactions.first().unwrap().reaction, "d");
}

/// Bob has the answer to a message before the message: its author can't be reached.
#[test]
fn what_comes_before_its_message_applies_when_that_comes() {
    let mut stage = friends();
    stage.stop(BOB).unwrap();
    stage.stop(TABLET).unwrap();
    stage.unplug(ALICE).unwrap();
    // The phone gets it, and nobody else.
    let id = done(&mut stage, ALICE, Command::Send { name: name(ALICE), text: "late".to_owned() }).id;
    let held = stage.disk(ALICE).unwrap().transaction(|tx| tx.entry(&entry_id(&id))).unwrap().unwrap();
    let now = stage.now();
    stage.stop(PHONE).unwrap();
    stage.disk(PHONE).unwrap().transaction(|tx| log::insert(tx, held.entry.clone(), now)).unwrap();
    stage.start(PHONE).unwrap();
    done(&mut stage, PHONE, react(PHONE, &id, "!"));
    done(&mut stage, PHONE, edit(PHONE, &id, "late, and better"));
    stage.start(BOB).unwrap();
    stage.run(Duration::from_secs(60)).unwrap();
    assert!(changed(&mut stage, BOB).is_empty(), "there is nothing yet that could change");
    let at_bob = stage.disk(BOB).unwrap().transaction(|tx| {
        let conversation = held.entry.header.conversation;
        Ok((tx.annotations(&conversation, &held.entry.id, 9)?.len(), tx.entry(&held.entry.id)?.is_some()))
    });
    assert_eq!(at_bob.unwrap(), (2, false), "the test needs this order");
    stage.plug(ALICE).unwrap();
    stage.start(TABLET).unwrap();
    stage.run(LATER).unwrap();
    let shown = agreed(&mut stage, &id);
    assert_eq!((shown.text.as_str(), shown.reactions.len()), ("late, and better", 1));
    let message = stage.events(BOB).into_iter().find_map(|event| match event {
        Event::Message { message } if message.id == id => Some(message),
        _ => None,
    });
    assert_eq!(message.unwrap().text, "late, and better", "told as it shows by then");
}

#[test]
fn a_deletion_reaches_who_was_away() {
    let mut stage = friends();
    let known = say(&mut stage, ALICE, "seen by Bob");
    let quoting = Command::Reply { name: name(BOB), message: short(&known), text: "answer".to_owned() };
    let answer = done(&mut stage, BOB, quoting).id;
    stage.stop(BOB).unwrap();
    let unknown = say(&mut stage, ALICE, "never seen by Bob");
    done(&mut stage, PHONE, react(PHONE, &known, "!"));
    for id in [&known, &unknown] {
        let deleted = done(&mut stage, PHONE, delete(PHONE, id, false));
        assert!(deleted.deleted && deleted.text.is_empty(), "{deleted:?}");
    }
    stage.events(BOB);
    stage.start(BOB).unwrap();
    stage.run(LATER).unwrap();
    for id in [&known, &unknown] {
        let shown = agreed(&mut stage, id);
        assert!(shown.deleted && shown.text.is_empty() && shown.reactions.is_empty(), "{shown:?}");
    }
    let quote = view(&mut stage, BOB, &answer).reply_to.unwrap();
    assert!(quote.deleted && quote.text.is_none());
    let changed = changed(&mut stage, BOB);
    assert!(changed.iter().any(|view| view.id == known && view.deleted), "{changed:?}");
    // And it stays so.
    let refused = stage.refusal(ALICE, edit(ALICE, &known, "again")).unwrap();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    craft(&mut stage, ALICE, &known, Act::Edit(Text::plain("again")));
    craft(&mut stage, ALICE, &known, Act::Pin(true));
    stage.run(LATER).unwrap();
    assert!(agreed(&mut stage, &known).deleted);
}

#[test]
fn only_the_author_edits_and_deletes_for_everyone() {
    let mut stage = friends();
    let id = say(&mut stage, ALICE, "mine");
    for command in [edit(BOB, &id, "yours"), delete(BOB, &id, false)] {
        let refused = stage.refusal(BOB, command).unwrap();
        assert_eq!(refused.kind, ErrorKind::Conflict, "{refused:?}");
    }
    stage.events(ALICE);
    craft(&mut stage, BOB, &id, Act::Edit(Text::plain("forged")));
    craft(&mut stage, BOB, &id, Act::Delete);
    stage.run(LATER).unwrap();
    let shown = agreed(&mut stage, &id);
    assert_eq!((shown.text.as_str(), shown.edited, shown.deleted), ("mine", false, false));
    assert!(changed(&mut stage, ALICE).is_empty());
    // They came, and are acknowledged like anything else.
    let conversation = stage.disk(ALICE).unwrap().transaction(|tx| {
        let stored = tx.entry(&entry_id(&id))?.unwrap();
        tx.annotations(&stored.entry.header.conversation, &stored.entry.id, 9)
    });
    assert_eq!(conversation.unwrap().len(), 2);
    let queued = stage.disk(BOB).unwrap().transaction(|tx| tx.outbox_len());
    assert_eq!(queued.unwrap(), 0);
}

#[test]
fn what_is_hidden_is_gone_on_the_users_own_devices_only() {
    let mut stage = friends();
    let id = say(&mut stage, BOB, "something embarrassing");
    let Response::Count(count) = stage.ask(PHONE, delete(PHONE, &id, true)).unwrap().unwrap() else {
        panic!("no count")
    };
    assert_eq!(count.messages, 1);
    stage.run(LATER).unwrap();
    for node in [ALICE, PHONE] {
        assert!(stage.said(node, "Bob").unwrap().is_empty(), "at {node}");
        let refused = stage.refusal(node, react(node, &id, "+")).unwrap();
        assert_eq!(refused.kind, ErrorKind::Unknown, "{refused:?}");
        assert!(stage.history(node, "me").unwrap().iter().all(|view| view.kind == "notice"));
    }
    for node in [BOB, TABLET] {
        assert_eq!(stage.said(node, "Alice").unwrap(), ["something embarrassing"], "at {node}");
    }
    let hidden = stage
        .events(ALICE)
        .into_iter()
        .any(|event| matches!(event, Event::Hidden { id: hidden } if hidden == id));
    assert!(hidden, "the desktop was not told");
    assert!(
        !stage
            .events(BOB)
            .into_iter()
            .any(|event| matches!(event, Event::Hidden { .. } | Event::Changed { .. }))
    );
    // Neither does it come back with what is said of it, nor in an answer's quote.
    done(&mut stage, BOB, edit(BOB, &id, "something worse"));
    let reply = Command::Reply { name: name(BOB), message: short(&id), text: "do you see it?".to_owned() };
    let answer = done(&mut stage, BOB, reply).id;
    stage.run(LATER).unwrap();
    let quote = view(&mut stage, ALICE, &answer).reply_to.unwrap();
    assert_eq!((quote.text, quote.deleted), (None, false));
    assert_eq!(stage.said(ALICE, "Bob").unwrap(), ["do you see it?"]);
    assert!(changed(&mut stage, ALICE).is_empty());
    // A device that is added later knows it too.
    let laptop = stage.add_linked(ALICE, "laptop").unwrap();
    assert_eq!(stage.said(laptop, "Bob").unwrap(), ["do you see it?"]);
}

#[test]
fn a_restart_keeps_everything() {
    let mut stage = friends();
    let ids = [say(&mut stage, ALICE, "one"), say(&mut stage, ALICE, "two"), say(&mut stage, BOB, "three")];
    let [one, two, three] = &ids;
    done(&mut stage, ALICE, edit(ALICE, one, "one, edited"));
    done(&mut stage, BOB, react(BOB, one, "+"));
    done(&mut stage, BOB, pin(BOB, one, false));
    done(&mut stage, ALICE, delete(ALICE, two, false));
    stage.ask(ALICE, delete(ALICE, three, true)).unwrap().unwrap();
    stage.run(LATER).unwrap();
    let histories = |stage: &mut Stage| -> Vec<Vec<HistoryItem>> {
        ALL.iter().map(|(node, name)| stage.history_whole(*node, name).unwrap()).collect()
    };
    let before = histories(&mut stage);
    for (node, _) in ALL {
        stage.stop(node).unwrap();
        stage.start(node).unwrap();
    }
    stage.run(LATER).unwrap();
    assert_eq!(histories(&mut stage), before);
}

#[test]
fn what_is_forwarded_says_so_and_no_more() {
    let mut stage = friends();
    let id = say(&mut stage, BOB, "to be passed on, @Alice");
    let command = Command::Forward { name: "Bob".to_owned(), message: short(&id), to: "me".to_owned() };
    let forwarded = done(&mut stage, PHONE, command);
    assert!(forwarded.forwarded && forwarded.mentions.is_empty() && forwarded.reply_to.is_none());
    stage.run(LATER).unwrap();
    let notes = stage.history(ALICE, "me").unwrap();
    let note = notes.iter().find(|view| view.text == "to be passed on, @Alice").unwrap();
    assert!(note.forwarded, "{note:?}");
}

#[test]
fn info_says_who_has_it_and_who_read_it() {
    let mut stage = friends();
    stage.stop(TABLET).unwrap();
    stage.stop(BOB).unwrap();
    let id = say(&mut stage, ALICE, "anybody?");
    let nobody = info(&mut stage, ALICE, &id).members;
    let states = |info: &[undertone::command::MemberInfo]| -> Vec<(String, String)> {
        let devices = info.iter().flat_map(|member| &member.devices);
        devices.map(|device| (device.name.clone(), device.state.clone())).collect()
    };
    let pair = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    assert_eq!(states(&nobody), [pair("desktop", "waiting"), pair("tablet", "waiting")]);
    let before = stage.now().as_ms();
    stage.start(BOB).unwrap();
    stage.run(LATER).unwrap();
    let received = stage.now().as_ms();
    stage.ask(BOB, Command::Read { name: "Alice".to_owned() }).unwrap().unwrap();
    stage.run(LATER).unwrap();
    // What is said later does not change when it was said first.
    say(&mut stage, ALICE, "more");
    stage.run(LATER).unwrap();
    for node in [ALICE, PHONE] {
        let info = info(&mut stage, node, &id);
        assert_eq!(states(&info.members), [pair("desktop", "read"), pair("tablet", "waiting")], "at {node}");
        let [bob] = info.members.as_slice() else { panic!("{info:?}") };
        let (delivered, read) = (bob.delivered_ms.unwrap(), bob.read_ms.unwrap());
        assert!((before..=received).contains(&delivered), "{before} {delivered} {received}");
        assert!(read >= received && read <= received + 60_000, "{received} {read}");
        assert_eq!((bob.name.as_str(), bob.state.as_str()), ("Bob", "read"));
    }
    let at_bob = info(&mut stage, BOB, &id);
    assert_eq!(at_bob.members.first().unwrap().name, "Bob");
}

#[test]
fn a_message_is_named_by_the_beginning_of_its_id() {
    let mut stage = friends();
    let id = say(&mut stage, ALICE, "text");
    let by = |message: &str| Command::Info { name: "Bob".to_owned(), message: message.to_owned() };
    for prefix in [id.get(..6).unwrap(), &id, &id.to_uppercase()] {
        stage.ask(ALICE, by(prefix)).unwrap().unwrap();
    }
    for (prefix, kind) in [
        (id.get(..5).unwrap(), ErrorKind::Invalid),
        ("nothexadecimal", ErrorKind::Invalid),
        ("00000000", ErrorKind::Unknown),
    ] {
        assert_eq!(stage.refusal(ALICE, by(prefix)).unwrap().kind, kind, "{prefix}");
    }
    // An annotation is no message.
    done(&mut stage, ALICE, react(ALICE, &id, "+"));
    let change = info(&mut stage, ALICE, &id).changes.pop().unwrap();
    assert_eq!(change.kind, "reaction");
    assert_eq!(stage.refusal(ALICE, by(&change.id)).unwrap().kind, ErrorKind::Unknown);
    let refused = stage.refusal(ALICE, react(ALICE, &id, &"x".repeat(65))).unwrap();
    assert_eq!(refused.kind, ErrorKind::Invalid);
}
