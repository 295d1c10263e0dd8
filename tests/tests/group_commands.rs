//! What people ask of groups: what goes wrong is said before anything is changed, and who is concerned is told.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, CommandError, ErrorKind, HistoryItem, MessageView, Response};
use undertone::event::Event;
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const DAVE: usize = 3;
const MINUTES: Duration = Duration::from_secs(180);
const SECONDS: Duration = Duration::from_secs(20);

fn words(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn create(name: &str, members: &[&str]) -> Command {
    Command::GroupCreate { name: name.to_owned(), members: words(members) }
}

fn add(group: &str, members: &[&str]) -> Command {
    Command::GroupAdd { group: group.to_owned(), members: words(members), role: "member".to_owned() }
}

fn remove(group: &str, member: &str) -> Command {
    Command::GroupRemove { group: group.to_owned(), member: member.to_owned() }
}

fn role(group: &str, member: &str, role: &str) -> Command {
    Command::GroupRole { group: group.to_owned(), member: member.to_owned(), role: role.to_owned() }
}

fn leave(group: &str) -> Command {
    Command::GroupLeave { group: group.to_owned(), successor: None }
}

fn send(name: &str) -> Command {
    Command::Send { name: name.to_owned(), text: "hello".to_owned() }
}

/// Alice knows Bob, Carol and Dave, who don't know each other; Bob and Carol are in a group of hers.
fn club() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob", "Carol", "Dave"], false).unwrap();
    for other in [BOB, CAROL, DAVE] {
        stage.meet(ALICE, other).unwrap();
    }
    stage.group(ALICE, create("Club", &["Bob", "Carol"])).unwrap();
    stage.run(MINUTES).unwrap();
    stage
}

fn refused(stage: &mut Stage, node: usize, command: Command, kind: ErrorKind, words: &[&str]) {
    let CommandError { kind: found, message } = stage.refusal(node, command).unwrap();
    assert_eq!(found, kind, "{message}");
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
}

fn notices(stage: &mut Stage, node: usize) -> Vec<String> {
    let notices = stage.history(node, "Club").unwrap().into_iter().filter(|view| view.kind == "notice");
    notices.map(|view| format!("{} {}", view.from, view.text)).collect()
}

#[test]
fn nobody_is_let_in_where_one_of_them_can_t_be() {
    let mut stage = club();
    let before = stage.members(ALICE, "Club").unwrap();
    refused(
        &mut stage,
        ALICE,
        add("Club", &["Dave", "Carol"]),
        ErrorKind::Conflict,
        &["Carol is in Club already"],
    );
    refused(&mut stage, ALICE, add("Club", &["Dave", "Zoe"]), ErrorKind::Unknown, &["\"Zoe\""]);
    assert_eq!(stage.members(ALICE, "Club").unwrap(), before);
    // Who is named twice is let in once.
    stage.group(ALICE, add("Club", &["Dave", "dave"])).unwrap();
    assert_eq!(stage.members(ALICE, "Club").unwrap().len(), 4);
    let other = stage.group(ALICE, create("Other", &["Bob", "Bob"])).unwrap();
    assert_eq!(other.members.len(), 2);
}

#[test]
fn what_is_so_already_is_no_news() {
    let mut stage = club();
    let before = notices(&mut stage, ALICE);
    stage.group(ALICE, role("Club", "Bob", "member")).unwrap();
    assert_eq!(notices(&mut stage, ALICE), before);
    stage.group(ALICE, remove("Club", "Carol")).unwrap();
    refused(
        &mut stage,
        ALICE,
        remove("Club", "Carol"),
        ErrorKind::Conflict,
        &["Carol is not in Club any more"],
    );
    refused(
        &mut stage,
        ALICE,
        role("Club", "Carol", "admin"),
        ErrorKind::Conflict,
        &["not in Club any more"],
    );
    let removals = notices(&mut stage, ALICE).into_iter().filter(|notice| notice.contains("removed")).count();
    assert_eq!(removals, 1);
}

#[test]
fn whoever_may_not_is_told_who_may_and_what_to_do() {
    let mut stage = club();
    let show = "`undertone group show Club`";
    refused(&mut stage, BOB, remove("Club", "Carol"), ErrorKind::Conflict, &["you are a member there", show]);
    refused(
        &mut stage,
        ALICE,
        leave("Club"),
        ErrorKind::Conflict,
        &["undertone group leave Club --successor"],
    );
    let successor =
        |name: &str| Command::GroupLeave { group: "Club".to_owned(), successor: Some(name.to_owned()) };
    refused(&mut stage, ALICE, successor("Alice"), ErrorKind::Conflict, &["another member"]);
    refused(&mut stage, BOB, successor("Carol"), ErrorKind::Conflict, &["only an owner names a successor"]);
    refused(&mut stage, ALICE, successor("Zoe"), ErrorKind::Unknown, &["nobody in Club", show]);
    refused(&mut stage, ALICE, remove("Club", "Alice"), ErrorKind::Conflict, &["undertone group leave Club"]);
    refused(&mut stage, ALICE, send("Clob"), ErrorKind::Unknown, &["contact list", "group list"]);
    // A name goes into what is suggested in one piece.
    stage.group(ALICE, create("Book Club", &[])).unwrap();
    let show = "`undertone group show 'Book Club'`";
    refused(&mut stage, ALICE, remove("Book Club", "Zoe"), ErrorKind::Unknown, &[show]);
}

#[test]
fn who_is_alone_may_leave() {
    let mut stage = club();
    stage.group(ALICE, create("Alone", &[])).unwrap();
    let left = stage.group(ALICE, leave("Alone")).unwrap();
    assert_eq!((left.state.as_str(), left.members.len()), ("out", 0));
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.status(ALICE).unwrap().outbox, 0);
    // Others gone, the last one may as well.
    for member in ["Bob", "Carol"] {
        stage.group(ALICE, remove("Club", member)).unwrap();
    }
    assert_eq!(stage.group(ALICE, leave("Club")).unwrap().state, "out");
}

#[test]
fn groups_of_one_name_are_told_apart_and_hide_no_contact() {
    let mut stage = club();
    let ids: Vec<String> = (0..2)
        .map(|_| stage.group(ALICE, create("Bob", &[])).unwrap().group.chars().take(8).collect())
        .collect();
    refused(
        &mut stage,
        ALICE,
        Command::GroupShow { group: "Bob".to_owned() },
        ErrorKind::Conflict,
        &[&ids[0], &ids[1]],
    );
    stage.send(ALICE, "Bob", "to the contact").unwrap();
    stage.send(ALICE, &ids[1], "to the group").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.said(BOB, "Alice").unwrap(), ["to the contact"]);
    assert_eq!(stage.said(ALICE, &ids[1]).unwrap(), ["to the group"]);
}

#[test]
fn whoever_is_put_out_sees_by_whom_and_goes_on_seeing_it() {
    let mut stage = club();
    stage.events(CAROL);
    stage.group(ALICE, remove("Club", "Carol")).unwrap();
    stage.send(ALICE, "Club", "without her").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(notices(&mut stage, CAROL).last().unwrap(), "Alice (removed Carol)");
    let told = stage.events(CAROL);
    let is_told =
        |event: &Event| matches!(event, Event::Message { message } if message.text == "(removed Carol)");
    assert!(told.iter().any(is_told), "{told:?}");
    assert!(stage.said(CAROL, "Club").unwrap().is_empty());
    // She comes back, and it still stands there.
    stage.group(ALICE, add("Club", &["Carol"])).unwrap();
    stage.run(MINUTES).unwrap();
    stage.send(BOB, "Club", "welcome back").unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.said(CAROL, "Club").unwrap(), ["welcome back"]);
    let notices = notices(&mut stage, CAROL);
    assert_eq!(notices[notices.len() - 2..], ["Alice (removed Carol)", "Alice (added Carol as member)"]);
}

/// A link to the club that Alice made.
fn link(stage: &mut Stage) -> String {
    let life = Duration::from_secs(3_600);
    match stage.ask(ALICE, Command::GroupLink { group: "Club".to_owned(), uses: 10, life }).unwrap() {
        Ok(Response::Invitation(view)) => view.link,
        other => panic!("no link: {other:?}"),
    }
}

fn join(stage: &mut Stage, node: usize, link: &str) {
    let join = Command::GroupJoin { link: link.to_owned(), message: None };
    stage.contact(node, join).unwrap();
    stage.run(MINUTES).unwrap();
}

fn asked(stage: &mut Stage, name: &str) -> Option<String> {
    stage.contacts(ALICE).unwrap().into_iter().find(|contact| contact.name == name).unwrap().group
}

#[test]
fn a_contact_asks_by_a_link_of_the_group_as_well() {
    let mut stage = club();
    let link = link(&mut stage);
    stage.events(ALICE);
    join(&mut stage, DAVE, &link);
    assert_eq!(asked(&mut stage, "Dave").as_deref(), Some("Club"));
    assert_eq!(stage.status(ALICE).unwrap().requests, 1);
    let requests =
        stage.events(ALICE).into_iter().filter(|event| matches!(event, Event::Request { .. })).count();
    assert_eq!(requests, 1);
    // They write to each other as before, meanwhile.
    assert_eq!(stage.send(DAVE, "Alice", "please").unwrap().state, "delivered");
    stage.group(ALICE, remove("Club", "Bob")).unwrap();
    let accepted = stage.contact(ALICE, Command::ContactAccept { name: "Dave".to_owned() }).unwrap();
    assert_eq!((accepted.state.as_str(), accepted.group.as_deref()), ("accepted", Some("Club")));
    stage.run(MINUTES).unwrap();
    for node in [ALICE, CAROL, DAVE] {
        assert_eq!(
            stage.members(node, "Club").unwrap(),
            ["Alice owner", "Carol member", "Dave member"],
            "at {node}"
        );
    }
    assert_eq!(asked(&mut stage, "Dave"), None);
    let again = Command::GroupJoin { link, message: None };
    refused(&mut stage, DAVE, again, ErrorKind::Conflict, &["you are in Club already"]);
    // Put out, he asks for nothing by himself.
    stage.group(ALICE, remove("Club", "Dave")).unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!((asked(&mut stage, "Dave"), stage.status(ALICE).unwrap().requests), (None, 0));
}

#[test]
fn a_contact_who_asks_can_be_turned_down_and_asks_in_vain_by_a_link_that_is_over() {
    let mut stage = club();
    let link = link(&mut stage);
    join(&mut stage, DAVE, &link);
    let declined = stage.contact(ALICE, Command::ContactDecline { name: "Dave".to_owned() }).unwrap();
    assert_eq!((declined.state.as_str(), declined.group), ("accepted", None));
    assert_eq!(asked(&mut stage, "Dave"), None);
    let named = stage.show_group(ALICE, "Club").unwrap().links.remove(0).link;
    stage.group(ALICE, Command::GroupUnlink { group: "Club".to_owned(), link: named }).unwrap();
    join(&mut stage, DAVE, &link);
    assert_eq!(asked(&mut stage, "Dave"), None);
    stage.contact(ALICE, Command::ContactAccept { name: "Dave".to_owned() }).unwrap();
    assert_eq!(stage.members(ALICE, "Club").unwrap().len(), 3);
}

#[test]
fn whoever_may_not_let_in_any_more_says_so_and_changes_nothing() {
    let mut stage = club();
    let link = link(&mut stage);
    join(&mut stage, DAVE, &link);
    stage.group(ALICE, role("Club", "Bob", "owner")).unwrap();
    stage.run(MINUTES).unwrap();
    stage.group(ALICE, role("Club", "Alice", "member")).unwrap();
    stage.run(MINUTES).unwrap();
    assert_eq!(asked(&mut stage, "Dave"), None, "it is not for Alice to say any more");
    stage.contact(ALICE, Command::ContactAccept { name: "Dave".to_owned() }).unwrap();
    assert_eq!(stage.members(BOB, "Club").unwrap().len(), 3);
}

#[test]
fn links_that_ended_do_not_show() {
    let mut stage = club();
    link(&mut stage);
    stage.run(MINUTES).unwrap();
    assert_eq!(stage.show_group(BOB, "Club").unwrap().links.len(), 1);
    stage.run(Duration::from_secs(3_600)).unwrap();
    for node in [ALICE, BOB] {
        assert!(stage.show_group(node, "Club").unwrap().links.is_empty(), "at {node}");
    }
}

#[test]
fn two_who_are_let_in_by_different_admins_at_once_know_each_other_within_seconds() {
    let mut stage = Stage::new(&["Alice", "Bob", "Carol", "Dave"], false).unwrap();
    for (inviting, joining) in [(ALICE, BOB), (ALICE, CAROL), (BOB, DAVE)] {
        stage.meet(inviting, joining).unwrap();
    }
    stage.group(ALICE, create("Club", &["Bob"])).unwrap();
    stage.group(ALICE, role("Club", "Bob", "admin")).unwrap();
    stage.run(MINUTES).unwrap();
    for admin in [ALICE, BOB] {
        stage.unplug(admin).unwrap();
    }
    stage.group(ALICE, add("Club", &["Carol"])).unwrap();
    stage.group(BOB, add("Club", &["Dave"])).unwrap();
    for admin in [ALICE, BOB] {
        stage.plug_for(admin, Duration::ZERO).unwrap();
    }
    stage.run(SECONDS).unwrap();
    let all = ["Alice owner", "Bob admin", "Carol member", "Dave member"];
    for node in [ALICE, BOB, CAROL, DAVE] {
        assert_eq!(stage.members(node, "Club").unwrap(), all, "at {node}");
    }
    stage.send(CAROL, "Club", "hello, Dave").unwrap();
    stage.run(Duration::from_secs(2)).unwrap();
    assert_eq!(stage.said(DAVE, "Club").unwrap(), ["hello, Dave"]);
}

#[test]
fn read_counts_what_shows() {
    let mut stage = club();
    stage.group(ALICE, add("Club", &["Dave"])).unwrap();
    stage.run(MINUTES).unwrap();
    let sent = stage.send(BOB, "Club", "one").unwrap();
    let react = Command::React { name: "Club".to_owned(), message: sent.id, reaction: "+".to_owned() };
    stage.ask(CAROL, react).unwrap().unwrap();
    stage.run(MINUTES).unwrap();
    let read = |stage: &mut Stage| match stage.ask(DAVE, Command::Read { name: "Club".to_owned() }).unwrap() {
        Ok(Response::Count(count)) => count.messages,
        other => panic!("{other:?}"),
    };
    // That he was added, and what Bob said; not how Carol reacted, nor what came before him.
    let shown =
        stage.history(DAVE, "Club").unwrap().into_iter().filter(|view| view.state == "received").count();
    assert_eq!((shown, read(&mut stage), read(&mut stage)), (2, 2, 0));
}

#[test]
fn of_what_others_wrote_nobody_claims_to_know_who_has_it() {
    let mut stage = club();
    let sent = stage.send(BOB, "Club", "one").unwrap();
    stage.run(MINUTES).unwrap();
    let who = |stage: &mut Stage, node| {
        let info = Command::Info { name: "Club".to_owned(), message: sent.id.clone() };
        let Response::Info(info) = stage.ask(node, info).unwrap().unwrap() else { panic!("no info") };
        let mut names: Vec<String> = info.members.into_iter().map(|member| member.name).collect();
        names.sort();
        names
    };
    assert_eq!(who(&mut stage, BOB), ["Alice", "Carol"]);
    assert_eq!(who(&mut stage, CAROL), ["Carol"]);
}

#[test]
fn the_json_says_what_is_a_notice() {
    let mut stage = club();
    stage.send(BOB, "Club", "(removed Alice)").unwrap();
    stage.run(MINUTES).unwrap();
    let items = stage.history_whole(CAROL, "Club").unwrap();
    let json = serde_json::to_value(&items).unwrap();
    let kinds: Vec<&str> =
        json.as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.last(), Some(&"text"));
    assert!(kinds.contains(&"notice"), "{json}");
    let back: Vec<HistoryItem> = serde_json::from_value(json).unwrap();
    assert_eq!(back, items);
    let last: MessageView = items.into_iter().filter_map(HistoryItem::message).next_back().unwrap();
    assert_eq!((last.kind.as_str(), last.text.as_str()), ("text", "(removed Alice)"));
}
