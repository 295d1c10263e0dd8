//! What relays say, handed to the part that it concerns.

use std::time::Duration;

use undertone_protocol::ids::RelayId;
use undertone_protocol::limits::PROTOCOL_VERSION;
use undertone_protocol::wire::{self, frame::Body};

use super::asked::Asked;
use super::bundles;
use super::checkpoints;
use super::context::Context;
use super::fetches::Fetches;
use super::finding;
use super::forwards;
use super::home;
use super::inbox;
use super::link::Link;
use super::links::{Links, drop_link};
use super::outcomes;
use super::relays;
use super::revocations;
use super::types::Outputs;
use crate::LinkId;
use crate::event::Event;
use crate::store::StoreError;

/// What a user can do where the relay takes no new mailbox.
const INVITED: &str = "; name it with `undertone relay add ADDRESS#INVITATION`";
const CLOSED: &str = "; `undertone relay move ADDRESS` takes another one in its place";
const VERSION: &str = "the relay speaks another version of the protocol: update the older one";

/// One frame from a relay. A relay that breaks the protocol is dropped; nothing it sends can do more.
pub(super) fn frame(
    ctx: &mut Context<'_>,
    links: &mut Links,
    fetches: &mut Fetches,
    link: LinkId,
    frame: wire::Frame,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let Some(body) = frame.body else { return Ok(()) };
    match body {
        Body::Welcome(welcome) if welcome.version != PROTOCOL_VERSION => {
            drop_link(ctx, links, &link, VERSION, out);
        }
        Body::Welcome(welcome) => {
            if links.greeted(&link, ctx.now) {
                if links.stands_for_relay(&link) {
                    ctx.events.push(Event::RelayUp { relay: link.relay.to_hex() });
                }
                ctx.agenda.publish = true;
                fetches.relay_is_up();
            }
            if welcome.record.is_some() {
                finding::said(ctx, links, &link.relay, welcome.record)?;
            }
        }
        Body::Ping(ping) => links.tell(&link, Body::Pong(wire::Pong { nonce: ping.nonce }), ctx.now, out),
        // Where another home relay does not reach it, this shows that it serves.
        Body::Pong(_) => {
            let unanswered = ctx.agenda.routing.oldest(&link.relay).filter(|_| !link.hidden);
            ctx.agenda.publish |= unanswered.is_some_and(|oldest| oldest.is_slow(ctx.now));
        }
        Body::Goodbye(goodbye) => {
            drop_link(ctx, links, &link, &goodbye_reason(&goodbye), out);
            // Two that use one device would else take the place from each other several times a second.
            if goodbye.code() == wire::GoodbyeCode::Superseded
                && let Some(link) = links.get_mut(&link)
            {
                link.stand_back(ctx.now);
            }
        }
        // What is of this device alone comes on no other connection.
        Body::Deliver(_) | Body::Forwarded(_) | Body::DeadLetter(_) if link.hidden => {
            drop_link(
                ctx,
                links,
                &link,
                "the relay broke the protocol: it says that to nobody in particular",
                out,
            );
        }
        Body::Deliver(deliver) => inbox::delivered(ctx, links, &link.relay, deliver, out)?,
        Body::Forwarded(answer) => forwards::answered(ctx, links, &link.relay, &answer, out)?,
        Body::DeadLetter(letter) => forwards::given_up(ctx, links, &link.relay, letter, out)?,
        answer => {
            let Some(asked) = links.answered(&link, frame.request, ctx.now) else {
                tracing::debug!(relay = %link.relay.short(), "an answer to nothing that was asked");
                return Ok(());
            };
            answered(ctx, links, fetches, link, asked, answer, out)?;
        }
    }
    Ok(())
}

fn answered(
    ctx: &mut Context<'_>,
    links: &mut Links,
    fetches: &mut Fetches,
    link: LinkId,
    asked: Asked,
    answer: Body,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let relay = link.relay;
    match (asked, answer) {
        (Asked::Register, Body::Registered(registered)) => {
            registered_as(ctx, links, &relay, &registered.generation, out)
        }
        // Its store is an older copy: it delivers when this device counts anew.
        (Asked::Attach, Body::Attached(attached)) if home::is_another(ctx, &relay, &attached.generation)? => {
            match links.get_mut(&link).is_some_and(Link::counts_anew) {
                true => registered_as(ctx, links, &relay, &attached.generation, out),
                false => {
                    drop_link(
                        ctx,
                        links,
                        &link,
                        "the relay broke the protocol: one generation after another",
                        out,
                    );
                    Ok(())
                }
            }
        }
        (Asked::Attach, Body::Attached(attached)) => {
            if let Some(link) = links.get_mut(&link) {
                link.attached(ctx.now);
            }
            ctx.agenda.publish = true;
            checkpoints::found(ctx, links, &relay, attached.checkpoint)
        }
        (Asked::PutCheckpoint(next), Body::Done(_)) => {
            checkpoints::stored(links, &relay, next);
            Ok(())
        }
        (Asked::PutBundle(said), Body::Done(_)) => relays::bundle_stored(ctx, &relay, &said),
        (Asked::Shut, Body::Registered(_)) => Ok(()),
        (Asked::RemoveBundle, Body::Done(_)) => relays::cleared(ctx, links, &relay, out),
        (Asked::PutPrekeys, Body::PrekeysLeft(left)) => home::prekeys_left(ctx, links, &relay, &left),
        (Asked::PutIntroduction(handle), Body::Done(_)) => home::introduction_stored(ctx, &relay, &handle),
        (Asked::Revoke(path), Body::Done(_)) => revocations::confirmed(ctx, &relay, path),
        (Asked::FetchBundle(want), Body::Bundle(answer)) => bundles::fetched(ctx, fetches, &want, &answer),
        (Asked::Publish(publish), Body::Published(published)) => {
            if let Err(reason) = outcomes::published(ctx, links, &relay, &publish, published)? {
                drop_link(ctx, links, &link, &reason, out);
            }
            Ok(())
        }
        (Asked::Forward(id), Body::Waiting(waiting)) => {
            forwards::waits(ctx, links, &relay, &id, waiting, out)
        }
        (Asked::RoutingKey(of), Body::RoutingKey(answer)) => {
            forwards::key_found(ctx, links, &relay, &of, answer, out);
            Ok(())
        }
        (Asked::FindRelay(of), Body::RelayAt(at)) => finding::said(ctx, links, &of, at.record),
        (asked, Body::Refusal(refusal)) => refused(ctx, links, fetches, &link, asked, &refusal, out),
        _ => {
            drop_link(ctx, links, &link, "the relay broke the protocol: an answer of the wrong kind", out);
            Ok(())
        }
    }
}

/// A home relay has the mailbox, under this generation.
fn registered_as(
    ctx: &mut Context<'_>,
    links: &mut Links,
    relay: &RelayId,
    generation: &[u8],
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let has_forgotten = home::registered(ctx, links, relay, generation, out)?;
    if has_forgotten {
        forwards::lost(ctx, relay)?;
        relays::forgotten(ctx, relay)?;
    }
    Ok(())
}

fn refused(
    ctx: &mut Context<'_>,
    links: &mut Links,
    fetches: &mut Fetches,
    link: &LinkId,
    asked: Asked,
    refusal: &wire::Refusal,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let relay = &link.relay;
    // The relay's own words may be anything: they are shown, cut, and not logged.
    let text: String = refusal.text.chars().filter(|c| !c.is_control()).take(200).collect();
    tracing::warn!(relay = %relay.short(), code = refusal.code, "the relay refused a request");
    let retry_after = Duration::from_millis(refusal.retry_after_ms);
    match asked {
        Asked::Revoke(_) if refusal.code() == wire::RefusalCode::Limit => {
            return revocations::new_epoch(ctx, links, relay, out);
        }
        Asked::FetchBundle(want) if refusal.code() == wire::RefusalCode::RetryAfter => {
            fetches.pause(relay, retry_after, want.user, ctx.now);
        }
        Asked::FetchBundle(want) => return bundles::refused(ctx, fetches, &want),
        Asked::Publish(publish) => return outcomes::put_off(ctx, links, relay, &publish, retry_after),
        Asked::Forward(id) => return forwards::refused(ctx, relay, &id, refusal),
        Asked::RoutingKey(of) => forwards::key_refused(ctx, relay, &of, refusal),
        // It does not know either, or is of an earlier version.
        Asked::Shut | Asked::FindRelay(_) => {}
        // One that does not know how drops it when nobody asked for it for long.
        Asked::RemoveBundle if refusal.code() != wire::RefusalCode::RetryAfter => {
            return relays::cleared(ctx, links, relay, out);
        }
        asked => {
            if matches!(asked, Asked::PutPrekeys) {
                ctx.agenda.prekeys.insert(*relay);
                if refusal.code() == wire::RefusalCode::Unknown {
                    home::bundle_lost(ctx, relay)?;
                }
            }
            // What was held back until the relay answered goes out.
            ctx.agenda.publish = true;
            if let Some(link) = links.get_mut(link) {
                let remedy = match refusal.code() {
                    wire::RefusalCode::Invitation => INVITED,
                    wire::RefusalCode::Closed if matches!(asked, Asked::Register) => CLOSED,
                    _ => "",
                };
                link.refused(&format!("{text}{remedy}"), retry_after, ctx.now);
            }
            if matches!(asked, Asked::Register) && refusal.code() == wire::RefusalCode::Epoch {
                return home::not_registered(ctx, links, relay, out);
            }
        }
    }
    Ok(())
}

fn goodbye_reason(goodbye: &wire::Goodbye) -> String {
    use wire::GoodbyeCode as Code;
    match Code::try_from(goodbye.code) {
        Ok(Code::Superseded) => "superseded: another process uses this device".to_owned(),
        Ok(Code::ShuttingDown) => "the relay is shutting down".to_owned(),
        Ok(Code::Malformed) => "the relay could not read what we sent".to_owned(),
        Ok(Code::Silent) => "the relay found us silent".to_owned(),
        Ok(Code::Version) => VERSION.to_owned(),
        Ok(Code::Overloaded) => "the relay is overloaded".to_owned(),
        _ => "the relay said goodbye".to_owned(),
    }
}
