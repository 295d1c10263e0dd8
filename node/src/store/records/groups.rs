use undertone_protocol::ids::{ConversationId, DeviceId, Handle, UserId};
use undertone_protocol::keys::DeliveryGrant;
use undertone_protocol::membership::Written;
use undertone_protocol::time::Timestamp;

/// A group that the user is, or was, in. Who is in it the membership document says, which is kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The hash of its Create, and its conversation.
    pub id: ConversationId,
    /// What it is called.
    pub name: String,
    /// How the user stands to it.
    pub standing: Standing,
    /// When it came to this device.
    pub added: Timestamp,
}

/// How the user stands to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They are in.
    In,
    /// They left, or were removed: what was said till then stays.
    Out,
}

/// What a device keeps of another member of a group, beside what it knows of them as a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which group.
    pub group: ConversationId,
    /// Who.
    pub user: UserId,
    /// When they were seen to be removed; `None`: they are in.
    pub removed: Option<Timestamp>,
    /// The first number of this device's entries that is for them.
    pub from_seq: u64,
    /// The handle of the token step that they have from this user, in this group.
    pub token: Handle,
    /// Handles of earlier ones, to be revoked.
    pub former_tokens: Vec<Handle>,
    /// Their mailboxes with the right to deliver what is of this group.
    pub grants: Vec<DeliveryGrant>,
    /// When each of their devices made the newest introduction that was taken, by its clock; by device.
    pub introduced: Vec<(DeviceId, Timestamp)>,
    /// Up to where their devices wrote, as this device was told: it may hold nothing of it.
    pub written: Vec<Written>,
    /// Whether this device has to introduce itself to them.
    pub introduction_due: bool,
    /// Whether they have to be told all of the group, as this user added them.
    pub welcome_due: bool,
    /// Whether this device hands over to them what was written before they came in, as this user added them.
    pub hands_history: bool,
}

impl Member {
    /// Somebody who is in from here on.
    pub const fn new(group: ConversationId, user: UserId, token: Handle, from_seq: u64) -> Self {
        Self {
            group,
            user,
            removed: None,
            from_seq,
            token,
            former_tokens: Vec::new(),
            grants: Vec::new(),
            introduced: Vec::new(),
            written: Vec::new(),
            introduction_due: false,
            welcome_due: false,
            hands_history: false,
        }
    }

    /// Whether they are in.
    pub const fn is_in(&self) -> bool {
        self.removed.is_none()
    }

    /// Whether they are in, or were. Of others it is only known how to reach them.
    pub const fn was_in(&self) -> bool {
        self.from_seq < u64::MAX
    }

    /// When a device made the newest introduction that was taken; zero when none was.
    pub fn introduced_by(&self, device: &DeviceId) -> Timestamp {
        let by = self.introduced.iter().find(|(by, _)| by == device);
        by.map_or(Timestamp::ZERO, |(_, at)| *at)
    }
}
