use ed25519_dalek::SigningKey;
use undertone_protocol::ids::{Generation, Handle, UserId};
use undertone_protocol::keys::{Name, RelayAddress};
use undertone_protocol::limits::HOME_RELAY_WAIT;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::Frame;

use super::*;
use crate::LinkId;
use crate::engine::fetches::Fetches;
use crate::engine::frames;
use crate::engine::home::new_mailbox;
use crate::engine::tests::{START, on_a_device};
use crate::engine::types::NetOutput;
use crate::store::{Contact, ContactState, HomeRelay};

const OLD: &str = "/ip4/127.0.0.1/tcp/1";
const NEW: &str = "/dns4/relay.example/tcp/4001";
const BOB: UserId = UserId::new([7; 32]);
const SECOND: Duration = Duration::from_secs(1);

/// Relays with keys that sign: the first is this device's home.
fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[40 + n; 32])
}

fn id(n: u8) -> RelayId {
    RelayId::new(key(n).verifying_key().to_bytes())
}

fn record(n: u8, addresses: &[&str], issued: Timestamp) -> wire::Signed {
    let addresses = addresses.iter().copied().map(str::to_owned).collect();
    RelayRecord::issue(&key(n), addresses, issued).unwrap().signed.to_wire()
}

struct World {
    links: Links,
    fetches: Fetches,
}

impl World {
    /// Two home relays with connections, and a contact who knows of them.
    fn new(ctx: &mut Context<'_>) -> Self {
        let mut world = Self { links: Links::new(ctx.rng), fetches: Fetches::default() };
        for n in 0..2 {
            let address = RelayAddress { relay: id(n), addresses: vec![OLD.to_owned()] };
            let home = new_mailbox(ctx.rng, address.clone(), 0, "".into());
            let generation = Some(Generation::new([1; 8]));
            ctx.tx.put_home_relay(&HomeRelay { generation, announced: true, ..home }).unwrap();
            world.links.want_home(&address, START);
        }
        let name = Name::new("Bob").unwrap();
        let bob = Contact::new(BOB, name, ContactState::Accepted, Handle::new([7; 8]), START);
        ctx.tx.put_contact(&bob).unwrap();
        world
    }

    /// A relay is called, and greets; what it says of where it is.
    fn greets(&mut self, ctx: &mut Context<'_>, n: u8, record: Option<wire::Signed>) {
        self.links.tick(ctx.now, &mut Outputs::default());
        self.links.up(&LinkId::home(id(n)), ctx.now, &mut Outputs::default());
        let welcome = wire::Welcome { version: 1, now_ms: ctx.now.as_ms(), record };
        self.says(ctx, n, 1, Body::Welcome(welcome));
        self.links.get_mut(&LinkId::home(id(n))).unwrap().attached(ctx.now);
    }

    fn says(&mut self, ctx: &mut Context<'_>, n: u8, request: u64, body: Body) {
        let (frame, mut out) = (Frame { request, body: Some(body) }, Outputs::default());
        frames::frame(ctx, &mut self.links, &mut self.fetches, LinkId::home(id(n)), frame, &mut out).unwrap();
    }

    /// Which relay is asked for which, with the request's number.
    fn asks(&mut self, ctx: &mut Context<'_>) -> Vec<(RelayId, u64, RelayId)> {
        let mut out = Outputs::default();
        ask(ctx, &mut self.links, &mut out);
        let asked = out.net.into_iter().map(|output| match output {
            NetOutput::Send { link, frame: Frame { request, body: Some(Body::FindRelay(find)) } } => {
                (link.relay, request, RelayId::from_slice(&find.relay).unwrap())
            }
            other => panic!("{other:?}"),
        });
        asked.collect()
    }
}

fn addresses(ctx: &Context<'_>, n: u8) -> Vec<String> {
    ctx.tx.home_relay(&id(n)).unwrap().unwrap().address.addresses
}

fn is_told(ctx: &Context<'_>) -> bool {
    ctx.tx.contact(&BOB).unwrap().unwrap().introduction_due
}

fn told(ctx: &mut Context<'_>) {
    let contact = ctx.tx.contact(&BOB).unwrap().unwrap();
    ctx.tx.put_contact(&Contact { introduction_due: false, ..contact }).unwrap();
}

#[test]
fn a_home_relay_that_says_that_it_is_somewhere_else_is_told_of() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        world.greets(ctx, 0, Some(record(0, &[OLD], START)));
        assert!(!is_told(ctx), "it is where it was");
        world.greets(ctx, 1, Some(record(1, &[NEW], START)));
        assert_eq!(addresses(ctx, 1), [NEW, OLD], "its word first");
        assert!(is_told(ctx));
        assert_eq!(world.links.get(&LinkId::home(id(1))).unwrap().address().addresses, [NEW, OLD]);
        assert!(world.links.is_ready(&LinkId::home(id(1))), "the connection stays");
    });
}

/// Or it would have a device write to all of its contacts as often as it lets go of the connection.
#[test]
fn one_that_moves_again_and_again_is_told_of_now_and_then() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let places: Vec<String> = (2..5).map(|port| format!("/ip4/127.0.0.1/tcp/{port}")).collect();
        world.greets(ctx, 0, Some(record(0, &[&places[0]], START)));
        assert_eq!(addresses(ctx, 0), [&places[0], OLD]);
        told(ctx);
        world.greets(ctx, 0, Some(record(0, &[&places[1]], START)));
        assert!(!is_told(ctx), "nobody is told");
        let moved: [&str; 3] = [&places[1], &places[0], OLD];
        let called = world.links.get(&LinkId::home(id(0))).unwrap().address().addresses.clone();
        assert_eq!(addresses(ctx, 0), moved);
        assert_eq!(called, moved, "it is called there all the same");
        // Also after a start, and though it says nothing more.
        ctx.agenda.moved.clear();
        let later = |ctx: &mut Context<'_>, world: &mut World, now: Timestamp| {
            ctx.now = now;
            relays::sweep(ctx, &mut world.links, &mut Outputs::default()).unwrap();
        };
        later(ctx, &mut world, START.after(HOME_RELAY_WAIT - Duration::from_secs(1)));
        assert!(!is_told(ctx));
        later(ctx, &mut world, START.after(HOME_RELAY_WAIT));
        assert!(is_told(ctx));
        told(ctx);
        later(ctx, &mut world, START.after(HOME_RELAY_WAIT * 3));
        assert!(!is_told(ctx), "once");
        world.greets(ctx, 0, Some(record(0, &[&places[2]], ctx.now)));
        assert!(is_told(ctx));
    });
}

#[test]
fn nobody_says_where_another_relay_is() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        world.greets(ctx, 1, Some(record(0, &[NEW], START)));
        let ended = START.before(Duration::from_secs(40 * 86_400));
        world.greets(ctx, 0, Some(record(0, &[NEW], ended)));
        assert_eq!((addresses(ctx, 0), addresses(ctx, 1)), (vec![OLD.to_owned()], vec![OLD.to_owned()]));
        assert!(!is_told(ctx));
    });
}

#[test]
fn one_that_was_given_up_stays_so() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let home = ctx.tx.home_relay(&id(1)).unwrap().unwrap();
        let retired = Some(crate::store::Retired { since: START, untold: START });
        ctx.tx.put_home_relay(&HomeRelay { retired, ..home }).unwrap();
        world.greets(ctx, 1, Some(record(1, &[NEW], START)));
        assert_eq!(addresses(ctx, 1), [NEW, OLD]);
        assert!(!ctx.tx.home_relay(&id(1)).unwrap().unwrap().stays() && !is_told(ctx));
    });
}

#[test]
fn home_relays_are_asked_for_one_that_can_not_be_reached() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        world.greets(ctx, 0, None);
        world.links.tick(ctx.now, &mut Outputs::default());
        assert!(world.asks(ctx).is_empty());
        world.links.down(&LinkId::home(id(1)), "refused", ctx.now);
        let asked = world.asks(ctx);
        assert_eq!(asked.iter().map(|(via, _, of)| (*via, *of)).collect::<Vec<_>>(), [(id(0), id(1))]);
        assert!(world.asks(ctx).is_empty(), "not again and again");
        // One of an earlier version, or that does not know it.
        let code = wire::RefusalCode::Malformed.into();
        let refusal = wire::Refusal { code, text: "unknown".to_owned(), retry_after_ms: 0 };
        world.says(ctx, 0, asked[0].1, Body::Refusal(refusal));
        assert!(world.links.get(&LinkId::home(id(0))).unwrap().problem.is_none());
        for wait in [20, 40, 80] {
            ctx.now = ctx.now.after(SECOND * (wait - 1));
            assert!(world.asks(ctx).is_empty());
            ctx.now = ctx.now.after(SECOND);
            assert_eq!(world.asks(ctx).len(), 1, "after {wait} s");
            world.links.down(&LinkId::home(id(1)), "refused", ctx.now);
        }
        ctx.now = ctx.now.after(SECOND * 600);
        let asked = world.asks(ctx)[0].1;
        let at = wire::RelayAt { record: Some(record(1, &[NEW], ctx.now)) };
        world.says(ctx, 0, asked, Body::RelayAt(at));
        assert_eq!(addresses(ctx, 1), [NEW, OLD]);
        assert!(is_told(ctx));
        let mut out = Outputs::default();
        world.links.tick(ctx.now, &mut out);
        let calls = |output: &NetOutput| matches!(output, NetOutput::Connect { addresses, .. } if *addresses == [NEW, OLD]);
        assert!(out.net.iter().any(calls), "and called there at once: {:?}", out.net);
        world.greets(ctx, 1, None);
        world.asks(ctx);
        assert!(!ctx.agenda.sought.contains_key(&id(1)), "it is there: nobody is asked any more");
    });
}
