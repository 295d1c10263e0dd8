//! What of a device's outbox is the group's.

use undertone::store::{NodeTx, OutboxItem, Purpose, Standing, StoreError};
use undertone_protocol::ids::{ConversationId, UserId};

/// Whether something is for a group, or for somebody as its member.
pub(in super::super) fn is_of_group(
    tx: &dyn NodeTx,
    purpose: &Purpose,
    to: &UserId,
) -> Result<bool, StoreError> {
    Ok(match purpose {
        // By the token of any common group.
        Purpose::Retry(_) => !tx.groups_of(to)?.is_empty(),
        purpose => match conversation(tx, purpose)? {
            Some(conversation) => tx.group(&conversation)?.is_some(),
            None => false,
        },
    })
}

/// Whether an item is for former members alone, or its user is one: nobody says any more that it came.
pub(in super::super) fn is_for_former(tx: &dyn NodeTx, item: &OutboxItem) -> Result<bool, StoreError> {
    let Some(conversation) = conversation(tx, &item.purpose)? else { return Ok(false) };
    let Some(group) = tx.group(&conversation)? else { return Ok(false) };
    if group.standing == Standing::Out {
        return Ok(true);
    }
    for recipient in &item.recipients {
        if tx.member(&group.id, &recipient.user)?.is_none_or(|member| member.is_in()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn conversation(tx: &dyn NodeTx, purpose: &Purpose) -> Result<Option<ConversationId>, StoreError> {
    Ok(match purpose {
        Purpose::Entry(entry) | Purpose::Key(entry) | Purpose::OwnEntry(entry) | Purpose::OwnKey(entry) => {
            tx.entry(entry)?.map(|stored| stored.entry.header.conversation)
        }
        Purpose::Acknowledgement(conversation)
        | Purpose::OwnAcknowledgement(conversation)
        | Purpose::History(conversation)
        | Purpose::Group(conversation) => Some(*conversation),
        Purpose::Introduction(_) | Purpose::Retry(_) | Purpose::Link(_) | Purpose::DeviceList(_) => None,
    })
}
