use ed25519_dalek::SigningKey;
use prost::Message;
use prost::bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use undertone_protocol::federation::{CircuitKeys, Parcel, RoutingSecret};
use undertone_protocol::ids::{DeviceId, EntryId, Generation, Handle, MailboxId, Secret, UserId};
use undertone_protocol::keys::{DeliveryGrant, MailboxAddress, Name};
use undertone_protocol::limits::{
    ANSWER_WAIT_MAX, CUSTODIAN_WAIT, FALL_OVER_WAIT, FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX,
};
use undertone_protocol::receipts::{CustodyReceipt, Denial, ItemOutcome, Outcome};
use undertone_protocol::token::{Step, TokenGrant};

use super::*;
use crate::LinkId;
use crate::engine::outgoing;
use crate::engine::publish::{Walk, publish};
use crate::engine::routing::PRIVATE_WAIT;
use crate::engine::tests::{START, on_a_device};
use crate::engine::types::NetOutput;
use crate::store::{Contact, ContactState, Delivery, Failure, HomeRelay, OutboxState};

mod troubles;

const ENTRY: EntryId = EntryId::new([7; 32]);
const BOB: UserId = UserId::new([3; 32]);
const DEVICE: DeviceId = DeviceId::new([4; 32]);
const SECOND: Duration = Duration::from_secs(1);

/// This device, its home relay, and the relay where Bob lives, which it never meets.
struct World {
    home: SigningKey,
    destination: SigningKey,
    routing: RoutingSecret,
    rng: ChaCha20Rng,
    links: Links,
    walk: Walk,
}

fn id_of(key: &SigningKey) -> RelayId {
    RelayId::new(key.verifying_key().to_bytes())
}

fn address_of(key: &SigningKey) -> RelayAddress {
    RelayAddress { relay: id_of(key), addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()] }
}

fn grant(relay: RelayAddress) -> DeliveryGrant {
    let mailbox = MailboxAddress { relay, mailbox: MailboxId::new([1; 16]), epoch: 1, priority: 0 };
    let token = TokenGrant::issue(&Secret::new([2; 32]), Step::named(Handle::new([3; 8])));
    DeliveryGrant { device: DEVICE, mailbox, token }
}

impl World {
    /// The home relay is there, and a message to Bob is sealed.
    fn new(ctx: &mut Context<'_>) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let routing = RoutingSecret::random(&mut rng);
        let [home, destination] = [5, 6].map(|seed| SigningKey::from_bytes(&[seed; 32]));
        let mut world =
            Self { home, destination, routing, rng, links: Links::new(ctx.rng), walk: Walk::default() };
        let first = ctx.tx.home_relays().unwrap().remove(0);
        ctx.tx.delete_home_relay(&first.address.relay).unwrap();
        let generation = Some(Generation::new([1; 8]));
        ctx.tx.put_home_relay(&HomeRelay { address: address_of(&world.home), generation, ..first }).unwrap();
        world.links.want_home(&address_of(&world.home), ctx.now);
        world.connect(ctx);
        write(ctx, &address_of(&world.destination));
        world
    }

    fn home_link(&self) -> LinkId {
        LinkId::home(id_of(&self.home))
    }

    fn connect(&mut self, ctx: &mut Context<'_>) {
        let home = self.home_link();
        self.links.up(&home, ctx.now, &mut Outputs::default());
        let link = self.links.get_mut(&home).unwrap();
        assert!(link.greeted(ctx.now));
        link.attached(ctx.now);
        self.links.told();
        ctx.agenda.publish = true;
    }

    /// The home relay is reached under another key, as it is called.
    fn connect_hidden(&mut self, ctx: &mut Context<'_>) {
        let hidden = LinkId::hidden(id_of(&self.home));
        self.links.up(&hidden, ctx.now, &mut Outputs::default());
        assert!(self.links.greeted(&hidden, ctx.now), "it was not called");
        ctx.agenda.publish = true;
    }

    /// What is said to the home relay now, with the request numbers.
    fn said(&mut self, ctx: &mut Context<'_>) -> Vec<(u64, Body)> {
        let mut out = Outputs::default();
        publish(ctx, &mut self.links, &mut self.walk, &mut out).unwrap();
        out.net.into_iter().filter_map(|output| self.to_home(output)).collect()
    }

    fn to_home(&self, output: NetOutput) -> Option<(u64, Body)> {
        match output {
            NetOutput::Send { link, frame } => {
                assert_eq!(link.relay, id_of(&self.home));
                let body = frame.body?;
                assert_eq!(link.hidden, matches!(body, Body::Publish(_) | Body::Hello(_)), "{body:?}");
                Some((frame.request, body))
            }
            _ => None,
        }
    }

    /// It is asked for the destination's key, and gives it.
    fn gives_key(&mut self, ctx: &mut Context<'_>) {
        let said = self.said(ctx);
        let [(request, Body::GetRoutingKey(asked))] = &said[..] else { panic!("{said:?}") };
        assert_eq!(asked.relay, Some(address_of(&self.destination).to_wire()));
        let key = RoutingKey::issue(&self.destination, &self.routing, ctx.now);
        self.answers(
            ctx,
            *request,
            Body::RoutingKey(wire::RoutingKeyAnswer { key: Some(key.signed.to_wire()) }),
        );
    }

    /// The home relay answers something; gives what is said then.
    fn answers(&mut self, ctx: &mut Context<'_>, request: u64, body: Body) -> Vec<(u64, Body)> {
        let mut out = Outputs::default();
        let mut fetches = crate::engine::fetches::Fetches::default();
        let (home, frame) = (self.home_link(), wire::Frame { request, body: Some(body) });
        crate::engine::frames::frame(ctx, &mut self.links, &mut fetches, home, frame, &mut out).unwrap();
        out.net.into_iter().filter_map(|output| self.to_home(output)).collect()
    }

    /// What is handed over now: the request, and the parcel.
    fn handed(&mut self, ctx: &mut Context<'_>) -> (u64, Parcel) {
        let said = self.said(ctx);
        let [(request, Body::Forward(forward))] = &said[..] else { panic!("{said:?}") };
        assert_eq!(forward.destination, Some(address_of(&self.destination).to_wire()));
        (*request, Parcel::read(&forward.parcel).unwrap())
    }

    /// The same, from the beginning.
    fn handed_over(&mut self, ctx: &mut Context<'_>) -> (u64, Parcel) {
        self.gives_key(ctx);
        self.handed(ctx)
    }

    fn waits(&mut self, ctx: &mut Context<'_>, request: u64, parcel: &Parcel) {
        let waiting = Waiting { forward_id: parcel.forward_id, until: parcel.not_after };
        let notice = Some(waiting.sign(&self.home).to_wire());
        assert!(self.answers(ctx, request, Body::Waiting(wire::Waiting { notice })).is_empty());
    }

    /// The destination's answer, with the same outcome for all.
    fn decided(&mut self, parcel: &Parcel, outcome: Outcome) -> wire::Forwarded {
        let relay = id_of(&self.destination);
        let circuit = CircuitKeys::receive(&self.routing, &relay, &parcel.enc).unwrap();
        let routes = circuit.open_route(parcel).unwrap();
        let items = parcel.items.iter().zip(&routes).map(|(item, route)| ItemOutcome {
            payload_hash: item.hash,
            recipients: vec![outcome; route.len()],
        });
        let receipt = CustodyReceipt { publish_id: parcel.forward_id, items: items.collect() };
        circuit.seal_answer(parcel, &receipt.sign(&self.destination), &mut self.rng).unwrap()
    }

    fn brings(&mut self, ctx: &mut Context<'_>, body: Body, of: &Parcel) {
        let said = self.answers(ctx, 0, body);
        assert!(matches!(&said[..], [(0, Body::ForwardsTaken(taken))]
            if taken.forward_ids == [of.forward_id.to_wire()]));
    }

    fn dead_letter(&mut self, ctx: &mut Context<'_>, of: &Parcel, reason: DeadLetterReason) {
        let letter = DeadLetter { forward_id: of.forward_id, reason }.sign(&self.home);
        self.brings(ctx, Body::DeadLetter(wire::DeadLetter { notice: Some(letter.to_wire()) }), of);
    }

    fn meets_the_destination(&self) -> bool {
        self.links.get(&LinkId::hidden(id_of(&self.destination))).is_some()
    }
}

fn write(ctx: &mut Context<'_>, relay: &RelayAddress) {
    let conversation = ctx.me.direct(&BOB);
    let delivery =
        Delivery { entry: ENTRY, conversation, seq: 1, sealed: true, tick: Tick::Queued, failed: None };
    ctx.tx.put_delivery(&delivery).unwrap();
    write_to(ctx, BOB, "Bob", grant(relay.clone()));
}

fn write_to(ctx: &mut Context<'_>, user: UserId, name: &str, grant: DeliveryGrant) {
    let name = Name::new(name).unwrap();
    let contact = Contact::new(user, name, ContactState::Accepted, Handle::new([1; 8]), START);
    ctx.tx.put_contact(&Contact { grants: vec![grant.clone()], ..contact }).unwrap();
    let payload = Bytes::from_static(b"sealed");
    outgoing::put(ctx, &user, &[grant.device], Purpose::Entry(ENTRY), 1, payload).unwrap();
}

fn delivery(ctx: &Context<'_>) -> (Tick, Option<Failure>) {
    let delivery = ctx.tx.delivery(&ENTRY).unwrap().unwrap();
    (delivery.tick, delivery.failed)
}

fn state(ctx: &Context<'_>) -> OutboxState {
    ctx.tx.outbox_recipient(1, &DEVICE).unwrap().unwrap().state
}

fn stored() -> Outcome {
    Outcome::Stored { held_until: START.after(SECOND * 3_600) }
}

fn refusal(code: wire::RefusalCode) -> Body {
    Body::Refusal(wire::Refusal { code: code.into(), ..wire::Refusal::default() })
}

#[test]
fn what_is_for_another_relay_goes_over_a_home_relay_and_that_one_is_never_met() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let (request, parcel) = world.handed_over(ctx);
        assert!(parcel.not_after <= START.after(SEALED_LIFE), "no envelope outlives its key");
        assert_eq!(ctx.tx.forwards().unwrap().len(), 1, "it is kept before it goes out");
        assert_eq!(world.said(ctx), [], "once");
        world.waits(ctx, request, &parcel);
        assert_eq!(delivery(ctx), (Tick::Waiting, None));
        assert_eq!(world.said(ctx), []);
        let answer = world.decided(&parcel, stored());
        world.brings(ctx, Body::Forwarded(answer.clone()), &parcel);
        assert_eq!(delivery(ctx), (Tick::Sent, None));
        let held =
            matches!(state(ctx), OutboxState::Custody { relay, .. } if relay == id_of(&world.destination));
        assert!(held && ctx.tx.forwards().unwrap().is_empty());
        assert!(!world.meets_the_destination());
        // It may come again: the home relay did not hear that it came.
        world.brings(ctx, Body::Forwarded(answer), &parcel);
    });
}

#[test]
fn what_is_for_two_people_goes_in_two_circuits() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        world.gives_key(ctx);
        write_to(ctx, UserId::new([8; 32]), "Carol", grant(address_of(&world.destination)));
        let said = world.said(ctx);
        let parcels: Vec<_> = said
            .iter()
            .map(|(_, body)| match body {
                Body::Forward(forward) => Parcel::read(&forward.parcel).unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(matches!(&parcels[..], [one, other] if one.enc != other.enc && one.items.len() == 1));
        // What follows for one of them goes in the same.
        write_to(ctx, BOB, "Bob", grant(address_of(&world.destination)));
        let (_, third) = world.handed(ctx);
        assert!(parcels.iter().any(|parcel| parcel.enc == third.enc && parcel.counter + 1 == third.counter));
    });
}

/// Or it could not be sealed, and would go straight.
#[test]
fn what_is_for_hundreds_of_devices_goes_in_parcels_that_relays_take() {
    for count in (100..1_500).step_by(100) {
        on_a_device(|ctx| {
            let mut world = World::new(ctx);
            ctx.tx.delete_outbox(1).unwrap();
            write_to_many(ctx, count);
            world.gives_key(ctx);
            let mut reached = 0;
            for (_, body) in world.said(ctx) {
                let frame = wire::Frame { request: u64::MAX, body: Some(body.clone()) };
                assert!(frame.encoded_len() <= FRAME_BYTES_MAX, "{}", frame.encoded_len());
                let Body::Forward(forward) = body else { panic!("{body:?}") };
                let parcel = Parcel::read(&forward.parcel).unwrap();
                let relay = id_of(&world.destination);
                let circuit = CircuitKeys::receive(&world.routing, &relay, &parcel.enc).unwrap();
                reached += circuit.open_route(&parcel).unwrap().iter().map(Vec::len).sum::<usize>();
            }
            assert_eq!(reached, 2 * usize::from(count));
        });
    }
}

/// Two of the largest payloads, by the longest tokens.
fn write_to_many(ctx: &mut Context<'_>, count: u16) {
    let mut contact = ctx.tx.contact(&BOB).unwrap().unwrap();
    let first = contact.grants.remove(0);
    let step = |n: u8| Step::named(Handle::new([n; 8]));
    let token = (4..7).fold(first.token.clone(), |token, n| token.extend(step(n)).unwrap());
    let device = |n: u16| DeviceId::new([n.to_be_bytes(); 16].concat().try_into().unwrap());
    let grant = |n: u16| DeliveryGrant { device: device(n), token: token.clone(), ..first.clone() };
    contact.grants = (0..count).map(grant).collect();
    ctx.tx.put_contact(&contact).unwrap();
    let devices: Vec<_> = (0..count).map(device).collect();
    for purpose in [Purpose::Key(ENTRY), Purpose::Entry(ENTRY)] {
        let payload = Bytes::from(vec![7; PAYLOAD_BYTES_MAX]);
        outgoing::put(ctx, &BOB, &devices, purpose, 1, payload).unwrap();
    }
}

#[test]
fn an_answer_counts_that_comes_before_the_word_that_it_waits_and_after_a_start() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let (request, parcel) = world.handed_over(ctx);
        world.waits(ctx, request, &parcel);
        // The process dies, and the next one knows what is on its way.
        ctx.agenda.routing = crate::engine::routing::Routing::default();
        ctx.tx.forwards().unwrap().iter().for_each(|forward| ctx.agenda.routing.note(forward));
        world.links.down(&world.home_link(), "it died", ctx.now);
        world.connect(ctx);
        assert_eq!(world.said(ctx), []);
        let answer = world.decided(&parcel, stored());
        world.brings(ctx, Body::Forwarded(answer), &parcel);
        assert_eq!(delivery(ctx).0, Tick::Sent);
    });
}

#[test]
fn what_the_destination_denies_has_failed() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let (request, parcel) = world.handed_over(ctx);
        world.waits(ctx, request, &parcel);
        let answer = world.decided(&parcel, Outcome::Denied(Denial::Revoked));
        world.brings(ctx, Body::Forwarded(answer), &parcel);
        assert_eq!(delivery(ctx).1, Some(Failure::Denied(Denial::Revoked)));
    });
}

#[test]
fn how_quickly_a_destination_answers_is_measured_while_the_connection_lasts() {
    for (after, is_lost, measured) in
        [(SECOND * 3, false, Some(SECOND * 3)), (SECOND * 3, true, None), (ANSWER_WAIT_MAX, false, None)]
    {
        on_a_device(|ctx| {
            let mut world = World::new(ctx);
            let (request, parcel) = world.handed_over(ctx);
            world.waits(ctx, request, &parcel);
            ctx.now = START.after(after);
            if is_lost {
                world.links.down(&world.home_link(), "lost", ctx.now);
                world.connect(ctx);
            }
            let answer = world.decided(&parcel, stored());
            world.brings(ctx, Body::Forwarded(answer), &parcel);
            let (home, destination) = (id_of(&world.home), id_of(&world.destination));
            assert_eq!(ctx.agenda.routing.latency(&home, &destination, ctx.now), measured);
        });
    }
}
