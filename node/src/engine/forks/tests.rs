use rand_chacha::ChaCha20Rng;
use undertone_protocol::entry::EntryBody;
use undertone_protocol::ids::{CurveKey, Handle};
use undertone_protocol::keys::{
    Certificate, DeviceKey, DeviceList, IdentityKey, ListedDevice, Name, RecoveryPhrase,
};

use super::super::acknowledged;
use super::super::agenda::Side;
use super::super::direct::{Bearer, take};
use super::super::tests::{START, on_a_device};
use super::*;
use crate::store::ContactState;

/// A contact whose device writes what it likes.
struct Liar {
    identity: IdentityKey,
    key: DeviceKey,
    list: DeviceList,
}

impl Liar {
    fn new(rng: &mut ChaCha20Rng) -> Self {
        let identity = IdentityKey::from_phrase(&RecoveryPhrase::random(rng));
        let key = DeviceKey::random(rng);
        let (name, curve) = (Name::new("any").unwrap(), CurveKey::new([9; 32]));
        let certificate = Certificate::issue(&identity, key.device(), curve, name, START);
        let list = DeviceList::issue(&identity, None, vec![ListedDevice { certificate, revoked: false }]);
        Self { identity, key, list }
    }

    /// A contact of this device.
    fn met(&self, ctx: &mut Context<'_>) -> Contact {
        let user = self.identity.user();
        let (name, token) = (Name::new("Mallory").unwrap(), Handle::random(ctx.rng));
        let contact = Contact::new(user, name, ContactState::Accepted, token, START);
        let contact = Contact { device_list: Some(self.list.clone()), ..contact };
        ctx.tx.put_contact(&contact).unwrap();
        ctx.agenda.directory.insert(ctx.me.direct(&user), Side::User(user));
        ctx.agenda.note_devices(user, &self.list);
        contact
    }

    /// A text of its own number that names another entry before it.
    fn says(&self, ctx: &mut Context<'_>, text: &str, seq: u64, prev: Option<&SignedEntry>) -> SignedEntry {
        let body = EntryBody::text(text, ctx.rng).unwrap();
        let header = EntryHeader {
            conversation: ctx.me.direct(&self.identity.user()),
            device: self.key.device(),
            seq,
            prev: prev.map(|entry| entry.id),
            heads: Vec::new(),
            claimed: START,
            membership_heads: vec![self.list.hash()],
            body_hash: body.hash(),
            expires: None,
        };
        SignedEntry::issue(self.key.signing_key(), header, body)
    }
}

/// Of whom one of two entries with a number is held, and what stands on the other: whoever has that one sees a fork too.
#[test]
fn what_follows_another_entry_than_is_held_proves_a_fork() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 2, 0, 3], [2, 0, 3, 1], [0, 2, 1, 3]] {
        on_a_device(|ctx| {
            let liar = Liar::new(ctx.rng);
            let contact = liar.met(ctx);
            let first = liar.says(ctx, "first", 1, None);
            let (here, elsewhere) =
                (liar.says(ctx, "here", 2, Some(&first)), liar.says(ctx, "elsewhere", 2, Some(&first)));
            let third = liar.says(ctx, "third", 3, Some(&elsewhere));
            let fourth = liar.says(ctx, "fourth", 4, Some(&third));
            let conversation = first.header.conversation;
            let all = [&first, &here, &third, &fourth];
            for which in order {
                let circle = Circle::Direct(Box::new(contact.clone()));
                take(ctx, circle, all[which].clone(), Bearer::Author).unwrap();
            }
            let cut = ctx.tx.cut(&conversation, &liar.key.device()).unwrap().unwrap();
            assert_eq!((cut.through, cut.why), (1, CutReason::Forked), "{order:?}");
            assert!(ctx.agenda.forks.contains(&(conversation, liar.key.device(), 2)));
            // Both numbers go to others: with the other second entry they have the same proof.
            let proof = proof(ctx.tx, &conversation, &liar.key.device(), 2).unwrap();
            assert_eq!(proof.iter().map(|one| one.entry.id).collect::<Vec<_>>(), [here.id, third.id]);
            // Nothing from there on is acknowledged: so others see that it is known.
            let told = acknowledged::received(ctx, &conversation).unwrap();
            let told = told.get(&liar.key.device()).unwrap();
            assert_eq!((told.last(), told.head), (1, Some(first.id)));
        });
    }
}

/// Or two devices of one user would never see that somebody gave each another entry behind a gap.
#[test]
fn who_holds_another_entry_at_the_end_of_a_range_is_sent_what_is_held_here() {
    on_a_device(|ctx| {
        let liar = Liar::new(ctx.rng);
        let contact = liar.met(ctx);
        let first = liar.says(ctx, "first", 1, None);
        let [here, elsewhere] = ["here", "elsewhere"].map(|text| liar.says(ctx, text, 5, Some(&first)));
        for entry in [&first, &here] {
            let circle = Circle::Direct(Box::new(contact.clone()));
            take(ctx, circle, entry.clone(), Bearer::Author).unwrap();
        }
        let conversation = first.header.conversation;
        let told = acknowledged::received(ctx, &conversation).unwrap();
        assert_eq!(told.get(&liar.key.device()).unwrap().ends, [here.id]);
        for (ends, shown) in
            [(vec![elsewhere.id], vec![first.id, here.id]), (vec![here.id], vec![]), (vec![], vec![])]
        {
            let mut said = told.clone();
            said.set(
                liar.key.device(),
                FrontierItem { ends, ..told.get(&liar.key.device()).unwrap().clone() },
            );
            let entries = unknown(ctx, &conversation, &said).unwrap();
            assert_eq!(entries.iter().map(|one| one.entry.id).collect::<Vec<_>>(), shown);
        }
    });
}

#[test]
fn a_chain_that_fits_is_no_fork() {
    on_a_device(|ctx| {
        let liar = Liar::new(ctx.rng);
        let contact = liar.met(ctx);
        let first = liar.says(ctx, "first", 1, None);
        let second = liar.says(ctx, "second", 2, Some(&first));
        let third = liar.says(ctx, "third", 3, Some(&second));
        for entry in [&third, &first, &second, &third] {
            let circle = Circle::Direct(Box::new(contact.clone()));
            take(ctx, circle, entry.clone(), Bearer::Author).unwrap();
        }
        assert_eq!(ctx.tx.cuts(&first.header.conversation).unwrap(), []);
    });
}

/// Else the cut would stand without its proof, and others who were not sent the third one would never have it.
#[test]
fn a_third_entry_is_kept_where_it_shows_a_lower_fork() {
    on_a_device(|ctx| {
        let liar = Liar::new(ctx.rng);
        let contact = liar.met(ctx);
        let first = liar.says(ctx, "first", 1, None);
        let second = liar.says(ctx, "second", 2, Some(&first));
        let elsewhere = liar.says(ctx, "elsewhere", 2, Some(&first));
        let thirds = ["one", "two", "three"].map(|text| liar.says(ctx, text, 3, Some(&second)));
        let lower = liar.says(ctx, "on the other", 3, Some(&elsewhere));
        let [one, two, three] = &thirds;
        for entry in [&first, &second, one, two, three, &lower, three] {
            let circle = Circle::Direct(Box::new(contact.clone()));
            take(ctx, circle, entry.clone(), Bearer::Author).unwrap();
        }
        let (conversation, device) = (first.header.conversation, liar.key.device());
        let cut = ctx.tx.cut(&conversation, &device).unwrap().unwrap();
        assert_eq!((cut.through, cut.why), (1, CutReason::Forked));
        let proof = proof(ctx.tx, &conversation, &device, 2).unwrap();
        let mut ids: Vec<_> = proof.iter().map(|stored| stored.entry.id).collect();
        ids.sort();
        let mut wanted = [second.id, one.id, two.id, lower.id];
        wanted.sort();
        assert_eq!(ids, wanted);
    });
}
