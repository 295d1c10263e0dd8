//! Groups, on the real machines without faults.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, GroupChange, Response};
use undertone::engine::Origin;
use undertone::event::Event;
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const MINUTES: Duration = Duration::from_secs(180);

fn everywhere_said(stage: &mut Stage, nodes: &[usize], expected: &[&str]) {
    for node in nodes {
        assert_eq!(stage.said(*node, "Club").unwrap(), expected, "at {node}");
    }
}

#[test]
fn all_members_see_the_group_and_read_what_each_writes() {
    let mut stage = Stage::club().unwrap();
    for node in [ALICE, BOB, CAROL] {
        assert_eq!(
            stage.members(node, "Club").unwrap(),
            ["Alice owner", "Bob member", "Carol member"],
            "at {node}"
        );
    }
    stage.send(ALICE, "Club", "welcome").unwrap();
    stage.send(BOB, "Club", "hello from Bob").unwrap();
    stage.send(CAROL, "Club", "hello from Carol").unwrap();
    stage.run(MINUTES).unwrap();
    everywhere_said(&mut stage, &[ALICE, BOB, CAROL], &["welcome", "hello from Bob", "hello from Carol"]);
}

#[test]
fn whoever_watches_is_told_what_members_are_called() {
    let mut stage = Stage::club().unwrap();
    for node in [BOB, CAROL] {
        let mut told = stage.events(node).into_iter().filter_map(|event| match event {
            Event::Group { group } => Some(group),
            _ => None,
        });
        let mut names: Vec<_> =
            told.next_back().unwrap().members.into_iter().map(|member| member.name).collect();
        names.sort();
        assert_eq!(names, ["Alice", "Bob", "Carol"], "at {node}");
    }
}

#[test]
fn a_message_is_delivered_when_all_have_it_and_read_when_all_read_it() {
    let mut stage = Stage::club().unwrap();
    stage.unplug(CAROL).unwrap();
    stage.send(ALICE, "Club", "are you there").unwrap();
    stage.run(MINUTES).unwrap();
    let state = |stage: &mut Stage| stage.history(ALICE, "Club").unwrap().pop().unwrap().state;
    assert_eq!(state(&mut stage), "sent");
    stage.plug(CAROL).unwrap();
    assert_eq!(state(&mut stage), "delivered");
    stage.ask(BOB, Command::Read { name: "Club".to_owned() }).unwrap().unwrap();
    assert_eq!(state(&mut stage), "delivered");
    stage.ask(CAROL, Command::Read { name: "Club".to_owned() }).unwrap().unwrap();
    assert_eq!(state(&mut stage), "read");
}

fn add(stage: &mut Stage, by: usize, who: &str, role: &str) {
    let command =
        Command::GroupAdd { group: "Club".to_owned(), members: vec![who.to_owned()], role: role.to_owned() };
    stage.group(by, command).unwrap();
}

fn role(stage: &mut Stage, by: usize, who: &str, role: &str) {
    let command =
        Command::GroupRole { group: "Club".to_owned(), member: who.to_owned(), role: role.to_owned() };
    stage.group(by, command).unwrap();
}

fn remove(stage: &mut Stage, by: usize, who: &str) {
    let command = Command::GroupRemove { group: "Club".to_owned(), member: who.to_owned() };
    stage.group(by, command).unwrap();
}

/// The names in a group as a device knows it.
fn names(stage: &mut Stage, node: usize) -> Vec<String> {
    let members = stage.members(node, "Club").unwrap().into_iter();
    members.map(|member| member.split(' ').next().unwrap_or_default().to_owned()).collect()
}

const DAVE: usize = 3;
const ERIN: usize = 4;

/// Five, of whom Alice and Bob know everybody; Bob is an admin.
fn five() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob", "Carol", "Dave", "Erin"], false).unwrap();
    for (inviting, joining) in [(ALICE, BOB), (ALICE, CAROL), (ALICE, DAVE), (BOB, DAVE), (BOB, ERIN)] {
        stage.meet(inviting, joining).unwrap();
    }
    let members = ["Bob", "Carol"].map(ToOwned::to_owned).to_vec();
    stage.group(ALICE, Command::GroupCreate { name: "Club".to_owned(), members }).unwrap();
    role(&mut stage, ALICE, "Bob", "admin");
    stage.run(MINUTES).unwrap();
    stage
}

#[test]
fn whoever_is_removed_reads_nothing_that_comes_after() {
    let mut stage = Stage::club().unwrap();
    stage.send(ALICE, "Club", "with Carol").unwrap();
    stage.run(MINUTES).unwrap();
    remove(&mut stage, ALICE, "Carol");
    stage.send(ALICE, "Club", "without her").unwrap();
    stage.send(BOB, "Club", "nor from Bob").unwrap();
    stage.run(MINUTES).unwrap();
    everywhere_said(&mut stage, &[ALICE, BOB], &["with Carol", "without her", "nor from Bob"]);
    assert_eq!(stage.said(CAROL, "Club").unwrap(), ["with Carol"]);
    assert_eq!(names(&mut stage, ALICE), ["Alice", "Bob"]);
    assert_eq!(names(&mut stage, BOB), ["Alice", "Bob"]);
    // She is told so.
    assert_eq!(stage.show_group(CAROL, "Club").unwrap().state, "out");
    let refused =
        stage.refusal(CAROL, Command::Send { name: "Club".to_owned(), text: "hey".to_owned() }).unwrap();
    assert!(refused.message.contains("not in Club any more"), "{refused:?}");
}

#[test]
fn two_admins_who_are_apart_add_and_remove_at_once() {
    let mut stage = five();
    stage.unplug(ALICE).unwrap();
    stage.unplug(BOB).unwrap();
    remove(&mut stage, ALICE, "Carol");
    add(&mut stage, ALICE, "Dave", "member");
    stage.send(ALICE, "Club", "from Alice, apart").unwrap();
    add(&mut stage, BOB, "Erin", "member");
    stage.send(BOB, "Club", "from Bob, apart").unwrap();
    stage.plug(BOB).unwrap();
    stage.plug(ALICE).unwrap();
    stage.run(MINUTES).unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB, DAVE, ERIN] {
        assert_eq!(names(&mut stage, node), ["Alice", "Bob", "Dave", "Erin"], "at {node}");
    }
    assert_eq!(stage.show_group(CAROL, "Club").unwrap().state, "out");
    for node in [ALICE, BOB, DAVE, ERIN] {
        stage.send(node, "Club", &format!("after, from {node}")).unwrap();
    }
    stage.run(MINUTES).unwrap();
    let at_alice = stage.said(ALICE, "Club").unwrap();
    assert_eq!(at_alice.len(), 6, "{at_alice:?}");
    for node in [BOB, DAVE, ERIN] {
        let said = stage.said(node, "Club").unwrap();
        assert_eq!(said[said.len() - 4..], at_alice[2..], "at {node}");
    }
    assert_eq!(stage.said(BOB, "Club").unwrap(), at_alice);
}

#[test]
fn two_equal_admins_who_remove_each_other_are_both_out() {
    let mut stage = five();
    add(&mut stage, ALICE, "Dave", "admin");
    stage.run(MINUTES).unwrap();
    stage.unplug(BOB).unwrap();
    stage.unplug(DAVE).unwrap();
    remove(&mut stage, BOB, "Dave");
    remove(&mut stage, DAVE, "Bob");
    stage.plug(BOB).unwrap();
    stage.plug(DAVE).unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, CAROL] {
        assert_eq!(names(&mut stage, node), ["Alice", "Carol"], "at {node}");
    }
    for node in [BOB, DAVE] {
        assert_eq!(stage.show_group(node, "Club").unwrap().state, "out", "at {node}");
    }
}

#[test]
fn what_a_removed_member_wrote_before_they_knew_ends_at_the_cut() {
    let mut stage = five();
    stage.send(CAROL, "Club", "known").unwrap();
    stage.run(MINUTES).unwrap();
    stage.unplug(ALICE).unwrap();
    remove(&mut stage, ALICE, "Carol");
    stage.send(CAROL, "Club", "not known to Alice").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.said(BOB, "Club").unwrap(), ["known", "not known to Alice"]);
    stage.plug(ALICE).unwrap();
    stage.run(MINUTES).unwrap();
    everywhere_said(&mut stage, &[ALICE, BOB], &["known"]);
}

#[test]
fn who_was_away_while_being_added_gets_what_was_written_since() {
    let mut stage = five();
    stage.send(ALICE, "Club", "before Dave").unwrap();
    stage.unplug(DAVE).unwrap();
    add(&mut stage, ALICE, "Dave", "member");
    stage.send(ALICE, "Club", "for Dave").unwrap();
    // Carol does not know Dave's devices.
    stage.send(CAROL, "Club", "for Dave too").unwrap();
    stage.run(MINUTES).unwrap();
    stage.plug(DAVE).unwrap();
    stage.run(MINUTES).unwrap();
    stage.run(MINUTES).unwrap();
    let mut said = stage.said(DAVE, "Club").unwrap();
    said.sort();
    assert_eq!(said, ["for Dave", "for Dave too"]);
    stage.send(DAVE, "Club", "here I am").unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB, CAROL] {
        assert_eq!(
            stage.said(node, "Club").unwrap().last().map(String::as_str),
            Some("here I am"),
            "at {node}"
        );
    }
    let last = stage.history(CAROL, "Club").unwrap().into_iter().rfind(|view| view.mine).unwrap();
    assert_eq!(last.state, "delivered");
}

#[test]
fn who_leaves_is_gone_and_may_come_back() {
    let mut stage = five();
    stage.group(CAROL, Command::GroupLeave { group: "Club".to_owned(), successor: None }).unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB] {
        assert_eq!(names(&mut stage, node), ["Alice", "Bob"], "at {node}");
    }
    stage.send(BOB, "Club", "she left").unwrap();
    add(&mut stage, ALICE, "Carol", "member");
    stage.run(MINUTES).unwrap();
    stage.send(BOB, "Club", "she is back").unwrap();
    stage.send(CAROL, "Club", "I am back").unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB, CAROL] {
        assert_eq!(names(&mut stage, node), ["Alice", "Bob", "Carol"], "at {node}");
        let said = stage.said(node, "Club").unwrap();
        assert_eq!(said[said.len() - 2..], ["she is back", "I am back"], "at {node}");
    }
    assert!(!stage.said(CAROL, "Club").unwrap().contains(&"she left".to_owned()));
}

#[test]
fn the_last_owner_names_who_comes_after_them() {
    let mut stage = Stage::club().unwrap();
    let alone = Command::GroupLeave { group: "Club".to_owned(), successor: None };
    let refused = stage.refusal(ALICE, alone).unwrap();
    assert!(refused.message.contains("--successor"), "{refused:?}");
    let successor = Some("Bob".to_owned());
    stage.group(ALICE, Command::GroupLeave { group: "Club".to_owned(), successor }).unwrap();
    stage.run(MINUTES).unwrap();
    for node in [BOB, CAROL] {
        assert_eq!(stage.members(node, "Club").unwrap(), ["Bob owner", "Carol member"], "at {node}");
    }
    stage.send(CAROL, "Club", "on we go").unwrap();
    stage.run(MINUTES).unwrap();
    everywhere_said(&mut stage, &[BOB, CAROL], &["on we go"]);
}

#[test]
fn every_device_of_a_member_is_in_the_group_also_one_that_comes_later() {
    let mut stage = Stage::club().unwrap();
    stage.send(ALICE, "Club", "before the phone").unwrap();
    let phone = stage.add_linked(BOB, "phone").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(names(&mut stage, phone), ["Alice", "Bob", "Carol"]);
    stage.send(CAROL, "Club", "to all devices").unwrap();
    stage.send(phone, "Club", "from the phone").unwrap();
    stage.run(MINUTES).unwrap();
    let expected = ["before the phone", "to all devices", "from the phone"];
    everywhere_said(&mut stage, &[ALICE, BOB, CAROL, phone], &expected);
    // The user's own ones agree on how far a message has come.
    let state = |stage: &mut Stage, node| stage.history(node, "Club").unwrap().pop().unwrap().state;
    assert_eq!(state(&mut stage, phone), "delivered");
    assert_eq!(state(&mut stage, BOB), "delivered");
    stage.ask(BOB, Command::DeviceRevoke { name: "phone".to_owned() }).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    stage.send(CAROL, "Club", "not for the phone").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.said(BOB, "Club").unwrap().last().map(String::as_str), Some("not for the phone"));
    assert!(!stage.said(phone, "Club").unwrap().contains(&"not for the phone".to_owned()));
}

#[test]
fn a_group_that_one_device_makes_comes_to_the_others_of_its_user() {
    let mut stage = Stage::new(&["Alice", "Bob"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    let phone = stage.add_linked(ALICE, "phone").unwrap();
    let members = vec!["Bob".to_owned()];
    stage.group(phone, Command::GroupCreate { name: "Club".to_owned(), members }).unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB, phone] {
        assert_eq!(stage.members(node, "Club").unwrap(), ["Alice owner", "Bob member"], "at {node}");
    }
    stage.send(ALICE, "Club", "from the desktop").unwrap();
    stage.send(BOB, "Club", "from Bob").unwrap();
    stage.run(MINUTES).unwrap();
    everywhere_said(&mut stage, &[ALICE, BOB, phone], &["from the desktop", "from Bob"]);
}

#[test]
fn a_group_outlives_the_processes() {
    let mut stage = Stage::club().unwrap();
    stage.send(ALICE, "Club", "one").unwrap();
    for node in [ALICE, BOB, CAROL] {
        stage.stop(node).unwrap();
        stage.start(node).unwrap();
    }
    stage.send(CAROL, "Club", "two").unwrap();
    stage.send(BOB, "Club", "three").unwrap();
    stage.run(MINUTES).unwrap();
    everywhere_said(&mut stage, &[ALICE, BOB, CAROL], &["one", "two", "three"]);
}

#[test]
fn only_who_may_changes_a_group() {
    let mut stage = Stage::club().unwrap();
    let remove = Command::GroupRemove { group: "Club".to_owned(), member: "Alice".to_owned() };
    let refused = stage.refusal(BOB, remove).unwrap();
    assert!(refused.message.contains("Alice can't be removed from Club"), "{refused:?}");
    let change = GroupChange { name: Some("Bob's club".to_owned()), ..GroupChange::default() };
    let refused = stage.refusal(BOB, Command::GroupSet { group: "Club".to_owned(), change }).unwrap();
    assert!(refused.message.contains("Club can't be changed"), "{refused:?}");
    let change = GroupChange { may_write: Some("admin".to_owned()), ..GroupChange::default() };
    stage.group(ALICE, Command::GroupSet { group: "Club".to_owned(), change }).unwrap();
    stage.run(MINUTES).unwrap();
    let refused =
        stage.refusal(BOB, Command::Send { name: "Club".to_owned(), text: "hey".to_owned() }).unwrap();
    assert!(refused.message.contains("you may not write in Club"), "{refused:?}");
    stage.send(ALICE, "Club", "an announcement").unwrap();
    stage.run(MINUTES).unwrap();
    everywhere_said(&mut stage, &[ALICE, BOB, CAROL], &["an announcement"]);
}

/// A link to the club that Alice made.
fn link(stage: &mut Stage) -> String {
    let life = Duration::from_secs(3_600);
    let command = Command::GroupLink { group: "Club".to_owned(), uses: 10, life };
    match stage.ask(ALICE, command).unwrap() {
        Ok(Response::Invitation(view)) => view.link,
        other => panic!("no link: {other:?}"),
    }
}

#[test]
fn a_link_lets_others_ask_and_its_maker_lets_them_in() {
    let mut stage = five();
    let join = Command::GroupJoin { link: link(&mut stage), message: Some("let me in".to_owned()) };
    stage.contact(ERIN, join).unwrap();
    stage.run(MINUTES).unwrap();
    let asks = stage.contacts(ALICE).unwrap().into_iter().find(|contact| contact.name == "Erin").unwrap();
    assert_eq!((asks.state.as_str(), asks.group.as_deref()), ("requested", Some("Club")));
    assert_eq!(names(&mut stage, BOB), ["Alice", "Bob", "Carol"]);
    stage.contact(ALICE, Command::ContactAccept { name: "Erin".to_owned() }).unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB, CAROL, ERIN] {
        assert_eq!(names(&mut stage, node), ["Alice", "Bob", "Carol", "Erin"], "at {node}");
    }
    stage.send(ERIN, "Club", "thank you").unwrap();
    stage.run(MINUTES).unwrap();
    everywhere_said(&mut stage, &[ALICE, BOB, CAROL, ERIN], &["thank you"]);
}

#[test]
fn a_link_that_was_taken_back_lets_nobody_in() {
    let mut stage = Stage::club().unwrap();
    let frank = stage.add("Frank", Origin::New).unwrap();
    let join = Command::GroupJoin { link: link(&mut stage), message: None };
    stage.contact(frank, join).unwrap();
    let named = stage.show_group(ALICE, "Club").unwrap().links.remove(0).link;
    stage.group(ALICE, Command::GroupUnlink { group: "Club".to_owned(), link: named }).unwrap();
    let asks = stage.contacts(ALICE).unwrap().into_iter().find(|contact| contact.name == "Frank").unwrap();
    assert_eq!(asks.group, None);
    stage.contact(ALICE, Command::ContactAccept { name: "Frank".to_owned() }).unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(names(&mut stage, ALICE), ["Alice", "Bob", "Carol"]);
    let unknown = stage.refusal(frank, Command::GroupShow { group: "Club".to_owned() }).unwrap();
    assert!(unknown.message.contains("no group is called"), "{unknown:?}");
}

#[test]
fn what_is_done_to_messages_shows_to_all_and_admins_delete_what_others_wrote() {
    let mut stage = Stage::club().unwrap();
    let sent = stage.send(BOB, "Club", "a rude word, @Carol").unwrap();
    stage.run(MINUTES).unwrap();
    let at = |stage: &mut Stage, node| {
        stage.history(node, "Club").unwrap().into_iter().find(|view| view.id == sent.id).unwrap()
    };
    let mentions = at(&mut stage, CAROL).mentions;
    assert_eq!((mentions.len(), mentions[0].me), (1, true));
    let name = "Club".to_owned();
    let message: String = sent.id.chars().take(10).collect();
    let react = Command::React { name: name.clone(), message: message.clone(), reaction: "👎".to_owned() };
    stage.ask(CAROL, react).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB] {
        let reactions = at(&mut stage, node).reactions;
        assert_eq!((reactions.len(), reactions[0].from.as_str()), (1, "Carol"), "at {node}");
    }
    let delete = Command::Delete { name: name.clone(), message: message.clone(), for_me: false };
    let refused = stage.refusal(CAROL, delete.clone()).unwrap();
    assert!(refused.message.contains("only who wrote"), "{refused:?}");
    stage.ask(ALICE, delete).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB, CAROL] {
        assert!(at(&mut stage, node).deleted, "at {node}");
    }
    let Response::Info(info) = stage.ask(BOB, Command::Info { name, message }).unwrap().unwrap() else {
        panic!("no info")
    };
    let mut members: Vec<_> =
        info.members.iter().map(|member| (member.name.as_str(), member.state.as_str())).collect();
    members.sort_unstable();
    assert_eq!(members, [("Alice", "delivered"), ("Carol", "delivered")]);
}
