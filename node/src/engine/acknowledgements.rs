//! This device's own acknowledgement entries on their way out. Where one can't hold all there are several, and all of them
//! go: a device that lacks one would not know of what its user read.

use undertone_protocol::ids::DeviceId;
use undertone_protocol::receipts::Acknowledgement;
use undertone_protocol::wire::pairwise::Body;

use super::context::Context;
use super::outgoing::{self, NO_GROUP};
use super::pairwise;
use crate::store::{Contact, Purpose, StoreError};

/// Seals what was said together for a device. False: it can't be reached.
pub(super) fn send(
    ctx: &mut Context<'_>,
    to: &Contact,
    device: &DeviceId,
    purpose: Purpose,
    all: &[Acknowledgement],
) -> Result<bool, StoreError> {
    for acknowledgement in all {
        let body = Body::Acknowledgement(acknowledgement.signed.to_wire());
        let Some(payload) = pairwise::seal(ctx, to, device, body, None)? else { return Ok(false) };
        outgoing::put(ctx, &to.user, &[*device], purpose, NO_GROUP, payload)?;
    }
    Ok(true)
}

/// The count of the last one of what was said together.
pub(super) fn last_counter(all: &[Acknowledgement]) -> u64 {
    all.last().map_or(0, |last| last.fields.counter)
}
