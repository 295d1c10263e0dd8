use undertone_protocol::ids::EntryId;
use undertone_protocol::log::OrderKey;

use super::fixtures::*;
use crate::store::NodeTx;

const ALL: usize = usize::MAX;

/// Asserts that two stores give the same answers, about all that the fixtures can name.
pub(super) fn assert_same(a: &dyn NodeTx, b: &dyn NodeTx) {
    macro_rules! same {
        ($($method:ident($($argument:expr),*);)*) => {
            $(assert_eq!(
                a.$method($($argument),*).unwrap(),
                b.$method($($argument),*).unwrap(),
                stringify!($method($($argument),*))
            );)*
        };
    }
    same! {
        account();
        olm_account();
        introduced();
        home_relays();
        contacts();
        groups();
        invitations();
        receipts_due();
        outbox_pending(0, ALL);
        outbox_pending(2, 2);
        outbox_pending_len(1);
        outbox_pending_len(ALL);
        outbox_heads(0, ALL);
        outbox_heads(1, 2);
        outbox_expired(t(5), ALL);
        outbox_expired(t(u64::MAX), 2);
        outbox_custodians(ALL);
        outbox_custodians(2);
        contacts_called("ada");
        contacts_called("zoe");
        expired(t(2), ALL);
        expired(t(u64::MAX), 2);
        next_expiry();
        outbox_len();
        forwards();
        outbox_last();
        quarantine(ALL);
        quarantine(2);
    }
    for n in 0..COUNT {
        same! {
            home_relay(&relay(n));
            contact(&user(n));
            peer_device(&device(n));
            peer_fetched(&device(n));
            peer_device(&device(n + COUNT));
            account_changes(&user(n));
            group(&conversation(n));
            group_document(&conversation(n));
            members(&conversation(n));
            groups_of(&user(n));
            is_void(&EntryId::new([n; 32]));
            invitation(&handle(n));
            revocations_due(&relay(n), ALL);
            revocations_due(&relay(n), 1);
            is_revoked(&relay(n), &[handle(0)]);
            is_revoked(&relay(n), &[handle(1), handle(1)]);
            olm_sessions(&device(n));
            outbox_to(&device(n), 0, ALL);
            outbox_to(&device(n), 1, 2);
            prekey_base_seen(&[n; 32]);
            outbound_channel(&device(n));
            inbound_channel(&channel_hash(n));
            inbound_channels_of(&device(n));
            channels_by_tag(&tag(n));
            sender_key(&conversation(n));
            next_seqs(&conversation(n));
            receiver_key(&session_id(n));
            sessions_by_tag(&tag(n));
            heads(&conversation(n), ALL);
            heads(&conversation(n), 1);
            history(&conversation(n), None, ALL);
            history(&conversation(n), None, 2);
            frontier(&conversation(n));
            cuts(&conversation(n));
            gaps(&conversation(n));
            own_receipts(&conversation(n));
            delivery(&EntryId::new([n; 32]));
            deliveries_between(&conversation(n), 1, 2, ALL);
            deliveries_between(&conversation(n), 0, u64::MAX, 1);
            deliveries_between(&conversation(n), 2, 1, ALL);
            deliveries_unread(&conversation(n));
            deliveries_waiting(&conversation(n), ALL);
            deliveries_waiting(&conversation(n), 1);
            deliveries_unsealed(&conversation(n), ALL);
            deliveries_unsealed(&conversation(n), 1);
            outbox(n.into());
            outbox_head(n.into());
            seen(&payload_hash(n));
        }
        for purpose in purposes(n) {
            same! {
                outbox_of(&purpose);
                outbox_heads_of(&purpose);
                outbox_of_to(&purpose, &device(0));
                outbox_of_to(&purpose, &device(1));
                outbox_is_there(&purpose, false);
                outbox_is_there(&purpose, true);
            }
        }
        for annotation in &ANNOTATIONS[usize::from(n)] {
            same! { is_void(&annotation.id); }
        }
        for m in 0..COUNT {
            same! {
                outbox_recipient(n.into(), &device(m));
                acknowledgement(&conversation(n), &device(m));
                acknowledged(&conversation(n), &device(m));
                entries_at(&conversation(n), &device(m), 1);
                entries_at(&conversation(n), &device(m), 2);
                entries_of(&conversation(n), &device(m), 0, ALL);
                entries_of(&conversation(n), &device(m), 2, 1);
                cut(&conversation(n), &device(m));
                member(&conversation(n), &user(m));
                acknowledged_at(&acknowledged_by(n, m), 0);
                acknowledged_at(&acknowledged_by(n, m), 2);
            }
        }
    }
    for entry in ENTRIES.iter() {
        let place = OrderKey { effective: t(3), device: entry.header.device, entry: entry.id };
        same! {
            entry(&entry.id);
            is_void(&entry.id);
            children(&entry.id);
            annotations(&conversation(1), &entry.id, ALL);
            annotations(&conversation(1), &entry.id, 2);
            edits(&conversation(1), &entry.id, ALL);
            edits(&conversation(1), &entry.id, 1);
            is_hidden(&conversation(1), &entry.id);
            entries_within(&conversation(1), &entry.id, &EntryId::new([0xff; 32]), ALL);
            entries_within(&conversation(1), &entry.id, &EntryId::new([0xc0; 32]), 2);
            history(&entry.header.conversation, Some(&place), 3);
        }
    }
}
