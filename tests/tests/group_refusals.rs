//! What becomes of a group's messages where the relay of one member refuses them at first, on the real machines.

#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use undertone::command::{Command, Response};
use undertone::store::{NodeStore, Revocation};
use undertone_protocol::ids::{Handle, UserId};
use undertone_tests::simulation::Stage;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const MINUTES: Duration = Duration::from_secs(180);

/// A group of three, in which Alice has written.
fn three() -> Stage {
    let mut stage = Stage::new(&["Alice", "Bob", "Carol"], false).unwrap();
    stage.meet(ALICE, BOB).unwrap();
    stage.meet(ALICE, CAROL).unwrap();
    let members = vec!["Bob".to_owned(), "Carol".to_owned()];
    stage.group(ALICE, Command::GroupCreate { name: "Club".to_owned(), members }).unwrap();
    stage.run(MINUTES).unwrap();
    stage.send(ALICE, "Club", "before").unwrap();
    stage.run(MINUTES).unwrap();
    stage
}

/// A member takes the token of the group back that Alice has from them.
fn take_back(stage: &mut Stage, node: usize) {
    let alice = UserId::from_hex(&stage.id(ALICE).unwrap().user).unwrap();
    let taken = stage.disk(node).unwrap().transaction(|tx| {
        let user = tx.account()?.unwrap().certificate.user;
        let secret = tx.contact(&user)?.unwrap().token;
        let group = tx.groups()?[0].id;
        let parts: [&[u8]; 2] = [secret.as_bytes(), group.as_bytes()];
        let of_group = Handle::derive("undertone v1 handle of a group's tokens", &parts);
        let path = vec![of_group, tx.member(&group, &alice)?.unwrap().token];
        let relay = tx.home_relays()?[0].address.relay;
        tx.put_revocation(&Revocation { relay, path, confirmed: false })
    });
    taken.unwrap();
    again(stage, node);
}

fn again(stage: &mut Stage, node: usize) {
    stage.stop(node).unwrap();
    stage.start(node).unwrap();
    stage.run(MINUTES).unwrap();
}

/// What of Alice's last message shows at her: how far it is, why it is no further, and how far with whom.
fn last(stage: &mut Stage) -> (String, Option<String>, Vec<(String, String)>) {
    let last = stage.history(ALICE, "Club").unwrap().pop().unwrap();
    let info = Command::Info { name: "Club".to_owned(), message: last.id.clone() };
    let Response::Info(info) = stage.ask(ALICE, info).unwrap().unwrap() else { panic!("no info") };
    let mut members: Vec<_> = info.members.into_iter().map(|member| (member.name, member.state)).collect();
    members.sort();
    (last.state, last.failed, members)
}

fn with(bob: &str, carol: &str) -> Vec<(String, String)> {
    let of = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    vec![of("Bob", bob), of("Carol", carol)]
}

#[test]
fn one_whose_token_is_refused_gets_all_by_another_one() {
    let mut stage = three();
    take_back(&mut stage, CAROL);
    for text in ["one", "two", "three"] {
        stage.send(ALICE, "Club", text).unwrap();
        stage.run(MINUTES).unwrap();
        assert_eq!(last(&mut stage), ("delivered".to_owned(), None, with("delivered", "delivered")));
    }
    for node in [BOB, CAROL] {
        assert_eq!(stage.said(node, "Club").unwrap(), ["before", "one", "two", "three"]);
    }
}
