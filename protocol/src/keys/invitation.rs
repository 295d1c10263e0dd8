use std::fmt;

use bytes::Bytes;
use prost::Message;

use super::address::MailboxAddress;
use super::link::{self, LinkError};
use super::name::Name;
use crate::codec::{Malformed, decode, required, version_and_suite};
use crate::ids::{ConversationId, DeviceId, Locator, Secret, UserId};
use crate::limits::{INVITATION_RELAYS_MAX, PROTOCOL_VERSION, SUITE, TOKEN_STEPS_MAX};
use crate::token::TokenGrant;
use crate::wire;

const SCHEME: &str = "undertone:invite/";
const INVITATION_BYTES_MAX: usize = 8 * 1024;

/// What a link or QR code carries: enough to fetch the inviter's bundle and to send them a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Who invites.
    pub user: UserId,
    /// What they call themselves; a claim.
    pub name: Name,
    /// The device that answers.
    pub device: DeviceId,
    /// Opens the bundle.
    pub bundle_key: Secret,
    /// 1 to 4 relays.
    pub relays: Vec<InvitationRelay>,
    /// The group that it lets one ask to be in.
    pub group: Option<InvitedGroup>,
}

/// A group that an invitation is for. Whether the link holds, the group's operations say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitedGroup {
    /// Which.
    pub id: ConversationId,
    /// What it was called; a claim.
    pub name: Name,
}

/// One relay of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRelay {
    /// The inviter's mailbox there.
    pub mailbox: MailboxAddress,
    /// Lets the joiner deliver a request. The first step's handle names the invitation.
    pub introduction: TokenGrant,
    /// Where the bundle lies.
    pub locator: Locator,
}

impl Invitation {
    /// Reads a link. Spaces and line breaks in it don't matter.
    pub fn parse(link: &str) -> Result<Self, LinkError> {
        let bytes = link::decode("an invitation", SCHEME, link)?;
        Ok(Self::from_wire(decode("invitation", &bytes, INVITATION_BYTES_MAX)?)?)
    }

    fn from_wire(body: wire::Invitation) -> Result<Self, Malformed> {
        version_and_suite("invitation", body.version, body.suite)?;
        if body.relays.is_empty() || body.relays.len() > INVITATION_RELAYS_MAX {
            return Err(Malformed::new("invitation", "1 to 4 relays are allowed"));
        }
        let group = (!body.group.is_empty()).then(|| {
            let id = ConversationId::from_slice(&body.group)?;
            Ok::<_, Malformed>(InvitedGroup { id, name: Name::new(&body.group_name)? })
        });
        Ok(Self {
            group: group.transpose()?,
            user: UserId::from_slice(&body.user)?,
            name: Name::new(&body.name)?,
            device: DeviceId::from_slice(&body.device)?,
            bundle_key: Secret::from_slice(&body.bundle_key)?,
            relays: body.relays.into_iter().map(InvitationRelay::from_wire).collect::<Result<_, _>>()?,
        })
    }

    fn to_wire(&self) -> wire::Invitation {
        wire::Invitation {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            user: self.user.to_wire(),
            device: self.device.to_wire(),
            bundle_key: Bytes::copy_from_slice(self.bundle_key.expose()),
            relays: self.relays.iter().map(InvitationRelay::to_wire).collect(),
            name: self.name.as_str().to_owned(),
            group: self.group.as_ref().map(|group| group.id.to_wire()).unwrap_or_default(),
            group_name: self.group.as_ref().map(|group| group.name.to_string()).unwrap_or_default(),
        }
    }
}

impl InvitationRelay {
    fn from_wire(relay: wire::InvitationRelay) -> Result<Self, Malformed> {
        let introduction = TokenGrant::from_wire(&required("invitation", "token", relay.introduction)?)?;
        if introduction.path().len() >= TOKEN_STEPS_MAX {
            return Err(Malformed::new("invitation", "its token leaves no room for the joiner's step"));
        }
        Ok(Self {
            mailbox: MailboxAddress::from_wire(required("invitation", "mailbox", relay.mailbox)?)?,
            introduction,
            locator: Locator::from_slice(&relay.locator)?,
        })
    }

    fn to_wire(&self) -> wire::InvitationRelay {
        wire::InvitationRelay {
            mailbox: Some(self.mailbox.to_wire()),
            introduction: Some(self.introduction.to_wire()),
            locator: self.locator.to_wire(),
        }
    }
}

/// The link. Whoever has it can send a request, so it is a secret between the inviter and the invited.
impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&link::encode(SCHEME, self.to_wire().encode_to_vec()))
    }
}
