//! Commands about this device's home relays.

use undertone_protocol::limits::HOME_RELAYS_MAX;

use super::answers::{Answer, error, later, now};
use super::context::Context;
use super::links::Links;
use super::relays;
use super::types::Outputs;
use super::waiters::Condition;
use crate::command::{CommandError, ErrorKind, NamedRelay, Response, relay_addresses};
use crate::store::{HomeRelay, StoreError};

/// A relay is named by so many digits of its key at least.
const DIGITS_MIN: usize = 6;

pub(super) fn list(ctx: &Context<'_>, links: &Links) -> Result<Answer, StoreError> {
    now(Response::Relays(relays::views(ctx, links)?))
}

pub(super) fn add(
    ctx: &mut Context<'_>,
    links: &mut Links,
    addresses: &[String],
    priority: Option<u32>,
) -> Result<Answer, StoreError> {
    let named = match one(addresses) {
        Ok(named) => named,
        Err(problem) => return Ok(Err(problem)),
    };
    let relay = named.address.relay;
    let known = ctx.tx.home_relay(&relay)?;
    let stays = known.as_ref().is_some_and(HomeRelay::stays);
    if !stays && relays::staying(ctx)?.len() >= HOME_RELAYS_MAX {
        return error(
            ErrorKind::Limit,
            format!(
                "a device has at most {HOME_RELAYS_MAX} home relays: take one out by `undertone relay remove`"
            ),
        );
    }
    if !take(ctx, links, known, named, priority)? {
        return error(ErrorKind::Conflict, "that is one of your home relays already, at these addresses");
    }
    later(Condition::Relays { relay: Some(relay) })
}

pub(super) fn remove(
    ctx: &mut Context<'_>,
    links: &mut Links,
    name: &str,
    out: &mut Outputs,
) -> Result<Answer, StoreError> {
    let home = match find(ctx.tx.home_relays()?, name) {
        Ok(home) => home,
        Err(problem) => return Ok(Err(problem)),
    };
    if !home.stays() {
        return error(ErrorKind::Conflict, "that relay is given up already: see `undertone relay list`");
    }
    if relays::staying(ctx)?.len() == 1 {
        return error(
            ErrorKind::Conflict,
            "that is your only home relay, and without one nobody could reach you: `undertone relay move ADDRESS` \
             takes another one in its place, `undertone relay add ADDRESS` adds one",
        );
    }
    relays::retire(ctx, links, |other| other.address.relay == home.address.relay, out)?;
    later(Condition::Relays { relay: None })
}

pub(super) fn move_to(
    ctx: &mut Context<'_>,
    links: &mut Links,
    addresses: &[String],
    out: &mut Outputs,
) -> Result<Answer, StoreError> {
    let named = match one(addresses) {
        Ok(named) => named,
        Err(problem) => return Ok(Err(problem)),
    };
    let relay = named.address.relay;
    let known = ctx.tx.home_relay(&relay)?;
    let has_others = relays::staying(ctx)?.iter().any(|home| home.address.relay != relay);
    if !take(ctx, links, known, named, None)? && !has_others {
        return error(ErrorKind::Conflict, "that is your only home relay already, at these addresses");
    }
    relays::retire(ctx, links, |home| home.address.relay != relay, out)?;
    later(Condition::Relays { relay: Some(relay) })
}

/// Adds a relay, or takes in what is new of it. False: nothing is.
fn take(
    ctx: &mut Context<'_>,
    links: &mut Links,
    known: Option<HomeRelay>,
    named: NamedRelay,
    priority: Option<u32>,
) -> Result<bool, StoreError> {
    match known {
        Some(home) => relays::change(ctx, links, &home, named, priority),
        None => relays::add(ctx, links, named, priority).map(|()| true),
    }
}

/// The one relay of some addresses.
fn one(addresses: &[String]) -> Result<NamedRelay, CommandError> {
    let invalid = |message: String| CommandError::new(ErrorKind::Invalid, message);
    let mut relays = relay_addresses(addresses).map_err(invalid)?;
    match (relays.pop(), relays.is_empty()) {
        (Some(relay), true) => Ok(relay),
        (Some(_), false) => {
            Err(invalid("these are addresses of several relays: give those of one".to_owned()))
        }
        (None, _) => Err(invalid("no address was given".to_owned())),
    }
}

/// The home relay with an address, or whose key begins so.
fn find(homes: Vec<HomeRelay>, name: &str) -> Result<HomeRelay, CommandError> {
    // The key in an address minds letter case.
    let relay = relay_addresses(&[name.trim().to_owned()]).ok().and_then(|relays| relays.into_iter().next());
    let name = name.trim().to_lowercase();
    let is_key = name.len() >= DIGITS_MIN;
    let mut found = homes.into_iter().filter(|home| match &relay {
        Some(relay) => relay.address.relay == home.address.relay,
        None => is_key && home.address.relay.to_hex().starts_with(&name),
    });
    match (found.next(), found.next()) {
        (Some(home), None) => Ok(home),
        (Some(_), Some(_)) => {
            let message = format!("several of your home relays begin with {name}: give more digits");
            Err(CommandError::new(ErrorKind::Invalid, message))
        }
        (None, _) => Err(CommandError::new(
            ErrorKind::Unknown,
            format!(
                "none of your home relays is called so: give an address, or {DIGITS_MIN} digits or more of its key, as \
                 `undertone relay list` shows it"
            ),
        )),
    }
}
