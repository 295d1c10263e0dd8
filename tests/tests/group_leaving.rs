//! Leaving groups, on the real machines without faults.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::Command;
use undertone::store::{NodeStore, SenderKey};
use undertone_protocol::ids::{ConversationId, Handle, UserId};
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const MINUTES: Duration = Duration::from_secs(180);

fn add(stage: &mut Stage, by: usize, who: &str) {
    let members = vec![who.to_owned()];
    let role = "member".to_owned();
    stage.group(by, Command::GroupAdd { group: "Club".to_owned(), members, role }).unwrap();
}

fn remove(stage: &mut Stage, by: usize, who: &str) {
    let command = Command::GroupRemove { group: "Club".to_owned(), member: who.to_owned() };
    stage.group(by, command).unwrap();
}

/// Who is in as a device knows it.
fn names(stage: &mut Stage, node: usize) -> Vec<String> {
    let members = stage.members(node, "Club").unwrap().into_iter();
    members.map(|member| member.split(' ').next().unwrap_or_default().to_owned()).collect()
}

/// The paths of the tokens that somebody's device gave the others of the club.
fn given(stage: &mut Stage, node: usize) -> Vec<Vec<Handle>> {
    let group = ConversationId::from_hex(&stage.show_group(node, "Club").unwrap().group).unwrap();
    let user = UserId::from_hex(&stage.id(node).unwrap().user).unwrap();
    let given = stage.disk(node).unwrap().transaction(|tx| {
        let own = tx.contact(&user)?.unwrap();
        let parts: [&[u8]; 2] = [own.token.as_bytes(), group.as_bytes()];
        let of_group = Handle::derive("undertone v1 handle of a group's tokens", &parts);
        Ok(tx.members(&group)?.into_iter().map(|member| vec![of_group, member.token]).collect())
    });
    given.unwrap()
}

/// Whether a device's relay refuses the tokens of these paths, and confirmed it.
fn are_refused(stage: &mut Stage, node: usize, paths: &[Vec<Handle>]) -> Vec<bool> {
    let refused = stage.disk(node).unwrap().transaction(|tx| {
        let relay = tx.home_relays()?.remove(0).address.relay;
        let due = tx.revocations_due(&relay, 1_000)?;
        paths.iter().map(|path| Ok(tx.is_revoked(&relay, path)? && !due.contains(path))).collect()
    });
    refused.unwrap()
}

#[test]
fn whoever_is_out_takes_back_what_members_may_deliver_by_and_may_come_back() {
    let mut stage = Stage::club().unwrap();
    let leave = Command::GroupLeave { group: "Club".to_owned(), successor: None };
    let of_carol = given(&mut stage, CAROL);
    stage.group(CAROL, leave).unwrap();
    let of_bob = given(&mut stage, BOB);
    remove(&mut stage, ALICE, "Bob");
    stage.run(MINUTES).unwrap();
    assert_eq!((of_carol.len(), of_bob.len()), (2, 2));
    // What others wrote before they knew still gets there.
    stage.sleep(Duration::from_secs(23 * 3_600)).unwrap();
    assert_eq!(are_refused(&mut stage, CAROL, &of_carol), [false, false]);
    stage.sleep(Duration::from_secs(2 * 3_600)).unwrap();
    assert_eq!(are_refused(&mut stage, CAROL, &of_carol), [true, true]);
    assert_eq!(are_refused(&mut stage, BOB, &of_bob), [true, true]);
    for name in ["Bob", "Carol"] {
        add(&mut stage, ALICE, name);
    }
    stage.run(MINUTES).unwrap();
    stage.send(BOB, "Club", "here again").unwrap();
    stage.send(CAROL, "Club", "me too").unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB, CAROL] {
        assert_eq!(stage.said(node, "Club").unwrap(), ["here again", "me too"], "at {node}");
    }
}

#[test]
fn who_leaves_while_away_still_says_so_much_later() {
    let mut stage = Stage::club().unwrap();
    stage.unplug(CAROL).unwrap();
    stage.group(CAROL, Command::GroupLeave { group: "Club".to_owned(), successor: None }).unwrap();
    stage.sleep(Duration::from_secs(3 * 24 * 3_600)).unwrap();
    stage.plug(CAROL).unwrap();
    stage.run(MINUTES).unwrap();
    for node in [ALICE, BOB] {
        assert_eq!(names(&mut stage, node), ["Alice", "Bob"], "at {node}");
    }
}

/// Under which key a device seals what it writes in the club.
fn sender_key(stage: &mut Stage, node: usize) -> SenderKey {
    let group = ConversationId::from_hex(&stage.show_group(node, "Club").unwrap().group).unwrap();
    stage.disk(node).unwrap().transaction(|tx| tx.sender_key(&group)).unwrap().unwrap()
}

/// Nothing is sent to them; but it must not open either for whoever gets hold of it.
#[test]
fn whoever_is_removed_has_no_key_of_what_comes_after() {
    let mut stage = Stage::club().unwrap();
    let say = |stage: &mut Stage| {
        [ALICE, BOB].into_iter().for_each(|node| drop(stage.send(node, "Club", "said").unwrap()));
        stage.run(MINUTES).unwrap();
    };
    say(&mut stage);
    let before = [ALICE, BOB].map(|node| sender_key(&mut stage, node));
    remove(&mut stage, ALICE, "Carol");
    stage.run(MINUTES).unwrap();
    say(&mut stage);
    for (node, before) in [ALICE, BOB].into_iter().zip(before) {
        let after = sender_key(&mut stage, node);
        assert_eq!((before.holders.len(), after.holders.len()), (2, 1));
        assert_ne!(before.header_key, after.header_key);
    }
}
