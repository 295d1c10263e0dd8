use rand_core::SeedableRng;
use undertone_protocol::limits::ANSWER_WAIT_MAX;

use super::*;
use crate::engine::tests::{START, relay};

fn links() -> Links {
    Links::new(&mut ChaCha20Rng::seed_from_u64(1))
}

/// The connections that are called now.
fn called(links: &mut Links, now: Timestamp) -> Vec<LinkId> {
    let mut out = Outputs::default();
    links.tick(now, &mut out);
    let calls = out.net.into_iter().filter_map(|output| match output {
        NetOutput::Connect { link, .. } => Some(link),
        _ => None,
    });
    calls.collect()
}

/// Lets time pass; whatever relay is called does as `does` says. Gives how often any was called.
fn pass(
    links: &mut Links,
    from: Timestamp,
    duration: Duration,
    does: impl Fn(&mut Links, &LinkId, Timestamp),
) -> usize {
    let mut calls = 0;
    for second in 0..duration.as_secs() * 4 {
        let now = from.after(Duration::from_millis(second * 250));
        for relay in called(links, now) {
            calls += 1;
            does(links, &relay, now);
        }
    }
    calls
}

fn refuses(links: &mut Links, relay: &LinkId, now: Timestamp) {
    links.down(relay, "nobody listens there", now);
}

/// Greets, and closes after so long.
fn greets_and_closes(after: Duration) -> impl Fn(&mut Links, &LinkId, Timestamp) {
    move |links, relay, now| {
        links.up(relay, now, &mut Outputs::default());
        assert!(links.get_mut(relay).is_some_and(|link| link.greeted(now)));
        links.down(relay, "the relay closed", now.after(after));
    }
}

#[test]
fn a_relay_that_greets_and_closes_is_called_ever_more_rarely() {
    let mut links = links();
    links.want_home(&relay(1), START);
    let calls = pass(&mut links, START, Duration::from_secs(600), greets_and_closes(Duration::ZERO));
    assert!((10..30).contains(&calls), "{calls} calls in ten minutes");
}

#[test]
fn a_relay_that_held_is_called_again_soon() {
    let mut links = links();
    links.want_home(&relay(1), START);
    pass(&mut links, START, Duration::from_secs(600), refuses);
    let now = START.after(Duration::from_secs(700));
    for relay in called(&mut links, now) {
        greets_and_closes(Duration::from_secs(10))(&mut links, &relay, now);
    }
    assert_eq!(called(&mut links, now.after(Duration::from_secs(11))), [LinkId::home(relay(1).relay)]);
}

#[test]
fn a_connection_in_the_place_of_another_begins_anew() {
    let mut links = links();
    links.want_home(&relay(1), START);
    let relay = LinkId::home(relay(1).relay);
    links.up(&relay, START, &mut Outputs::default());
    let link = links.get_mut(&relay).unwrap();
    assert!(link.greeted(START));
    link.attached(START);
    links.up(&relay, START, &mut Outputs::default());
    let link = links.get_mut(&relay).unwrap();
    assert!(link.greeted(START) && link.needs_mailbox());
}

/// Of one relay's two connections each is for its own; and the relay is there as long as one of them is.
#[test]
fn a_home_relay_is_called_under_another_key_for_what_is_of_others() {
    let mut links = links();
    let relay = relay(1);
    let (home, hidden) = (LinkId::home(relay.relay), LinkId::hidden(relay.relay));
    links.want_home(&relay, START);
    links.want(&relay, START);
    assert_eq!(called(&mut links, START), [home, hidden]);
    for id in [home, hidden] {
        links.up(&id, START, &mut Outputs::default());
        assert!(links.greeted(&id, START));
    }
    assert!(links.stands_for_relay(&home) && !links.stands_for_relay(&hidden));
    assert_eq!(links.homes().map(|(relay, _)| *relay).collect::<Vec<_>>(), [relay.relay]);
    links.down(&hidden, "the cable", START);
    assert_eq!((links.is_ready(&home), links.unreachable_since(&relay.relay, START)), (true, None));
    // A mailbox less is no reason to end what goes on there for others.
    links.up(&hidden, START, &mut Outputs::default());
    links.give_up(&home, START, &mut Outputs::default());
    assert!(links.get(&home).is_none() && links.get(&hidden).is_some());
    assert!(links.stands_for_relay(&hidden));
}

/// One that says other things instead, for ever.
#[test]
fn a_relay_that_never_greets_is_given_up() {
    let mut links = links();
    let id = LinkId::hidden(relay(1).relay);
    links.want(&relay(1), START);
    assert_eq!(called(&mut links, START), [id]);
    links.up(&id, START, &mut Outputs::default());
    let mut now = START;
    while links.get(&id).is_some_and(Link::is_up) {
        let next = links.next_deadline().unwrap();
        assert!(next > now, "it would look again and again");
        now = next.min(now.after(Duration::from_secs(10)));
        links.get_mut(&id).unwrap().heard(now);
        links.tick(now, &mut Outputs::default());
    }
    assert_eq!(now, START.after(ANSWER_WAIT_MAX));
}

#[test]
fn all_that_want_a_place_have_their_turn() {
    let mut links = links();
    links.want_home(&relay(200), START);
    let all: Vec<u8> = (1..=160).collect();
    let mut reached = BTreeSet::new();
    let mut calls = 0;
    for minute in 0..30 {
        let now = START.after(Duration::from_secs(minute * 61));
        all.iter().for_each(|n| links.want(&relay(*n), now));
        for relay in called(&mut links, now) {
            calls += 1;
            reached.insert(relay);
            refuses(&mut links, &relay, now);
        }
        assert!(links.iter().count() <= LINKS_MAX);
        // One's own gives way to nobody.
        assert!(links.get(&LinkId::home(relay(200).relay)).is_some());
    }
    assert_eq!(reached.len(), all.len() + 1);
    assert!(calls <= 30 * LINKS_MAX, "{calls} calls");
}

#[test]
fn a_place_is_not_taken_before_its_relay_was_tried_for_a_while() {
    let mut links = links();
    let all: Vec<u8> = (1..=160).collect();
    for second in 0..50 {
        let now = START.after(Duration::from_secs(second));
        all.iter().for_each(|n| links.want(&relay(*n), now));
        called(&mut links, now).iter().for_each(|relay| refuses(&mut links, relay, now));
    }
    let first = 1..=u8::try_from(LINKS_MAX).unwrap();
    assert!(first.map(relay).all(|relay| links.get(&LinkId::hidden(relay.relay)).is_some()));
}

#[test]
fn connections_that_nobody_uses_make_room_for_others() {
    let mut links = links();
    for n in 1..=u8::try_from(LINKS_MAX).unwrap() {
        links.want(&relay(n), START);
    }
    for relay in called(&mut links, START) {
        links.up(&relay, START, &mut Outputs::default());
        links.get_mut(&relay).unwrap().greeted(START);
    }
    let soon = START.after(Duration::from_secs(5));
    links.want(&relay(100), soon);
    assert_eq!(called(&mut links, soon), []);
    called(&mut links, START.after(Duration::from_secs(16)));
    let later = START.after(Duration::from_secs(30));
    assert_eq!(called(&mut links, later), [LinkId::hidden(relay(100).relay)]);
}

/// The addresses at which a relay is called next.
fn next_call(links: &mut Links, id: LinkId, now: Timestamp) -> Vec<String> {
    let mut out = Outputs::default();
    links.tick(now, &mut out);
    let calls = out.net.into_iter().filter_map(|output| match output {
        NetOutput::Connect { link, addresses } if link == id => Some(addresses),
        _ => None,
    });
    calls.flatten().collect()
}

fn relay_at(n: u8, addresses: &[&str]) -> RelayAddress {
    RelayAddress { addresses: addresses.iter().map(ToString::to_string).collect(), ..relay(n) }
}

/// A relay may have an address for each network.
#[test]
fn a_relay_that_is_not_where_one_says_is_called_where_others_say() {
    let mut links = links();
    let id = LinkId::hidden(relay(1).relay);
    links.want(&relay_at(1, &["loopback"]), START);
    assert_eq!(next_call(&mut links, id, START), ["loopback"]);
    refuses(&mut links, &id, START);
    links.want(&relay_at(1, &["network"]), START);
    let later = START.after(Duration::from_secs(60));
    assert_eq!(next_call(&mut links, id, later), ["loopback", "network"]);
    // While it is there it is not looked for.
    links.up(&id, later, &mut Outputs::default());
    assert!(links.greeted(&id, later));
    links.want(&relay_at(1, &["elsewhere"]), later);
    assert_eq!(links.get(&id).unwrap().address().addresses, ["loopback", "network"]);
}

#[test]
fn a_home_relay_is_called_where_it_is_known_to_be_but_not_under_the_own_key_where_others_say() {
    let mut links = links();
    let (home, hidden) = (LinkId::home(relay(1).relay), LinkId::hidden(relay(1).relay));
    links.want_home(&relay_at(1, &["network"]), START);
    links.want(&relay_at(1, &["loopback"]), START);
    let mut out = Outputs::default();
    links.tick(START, &mut out);
    let call = |link: LinkId, addresses: &[&str]| NetOutput::Connect {
        link,
        addresses: addresses.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(out.net, [call(home, &["network"]), call(hidden, &["loopback", "network"])]);
}

#[test]
fn of_a_home_relay_it_shows_that_what_is_for_others_does_not_get_there() {
    let mut links = links();
    let (home, hidden) = (LinkId::home(relay(1).relay), LinkId::hidden(relay(1).relay));
    links.want_home(&relay(1), START);
    links.want(&relay(1), START);
    called(&mut links, START);
    links.up(&home, START, &mut Outputs::default());
    assert!(links.greeted(&home, START));
    assert_eq!(links.problem(&home), None);
    refuses(&mut links, &hidden, START);
    assert!(links.problem(&home).unwrap().contains("nobody listens there"));
    links.down(&home, "the cable", START);
    assert_eq!(links.problem(&home).as_deref(), Some("the cable"));
}
