use undertone_protocol::ids::{Handle, MailboxId, RelayId, Secret};
use undertone_protocol::keys::{MailboxAddress, Name, RelayAddress};
use undertone_protocol::token::{Step, TokenGrant};

use super::super::tests::on_a_device;
use super::*;

const THEIRS: Handle = Handle::new([7; 8]);

/// A contact whose token a sibling took back, where this device took back the sibling's.
fn contact(ctx: &mut Context<'_>) -> Contact {
    let name = Name::new("Bob").unwrap();
    let mut contact = names::stranger(ctx, UserId::new([5; 32]), name, ContactState::Accepted);
    contact.former_tokens.push(THEIRS);
    ctx.tx.put_contact(&contact).unwrap();
    contact
}

/// What the sibling tells, knowing of these.
fn told(contact: &Contact, knowing: Vec<EntryId>) -> AccountRecord {
    AccountRecord { token: THEIRS, replaces: knowing, ..record(contact) }
}

fn wrote(ctx: &mut Context<'_>, contact: &Contact, record: AccountRecord) -> EntryId {
    let body = EntryBody::new(Content::Account(Box::new(record)), ctx.rng).unwrap();
    writing::append(ctx, contact, body).unwrap()
}

#[test]
fn a_token_that_was_taken_back_here_is_not_taken_from_a_sibling() {
    on_a_device(|ctx| {
        let contact = contact(ctx);
        let told = told(&contact, Vec::new());
        assert!(follow(ctx, told).unwrap(), "the sibling is told");
        assert_eq!(ctx.tx.contact(&contact.user).unwrap().unwrap().token, contact.token);
    });
}

/// Or each would tell the other its own for ever.
#[test]
fn two_devices_that_took_back_each_others_token_agree_on_a_third() {
    on_a_device(|ctx| {
        let contact = contact(ctx);
        let known = wrote(ctx, &contact, record(&contact));
        let told = told(&contact, vec![known]);
        assert!(follow(ctx, told).unwrap(), "the sibling is told");
        let now = ctx.tx.contact(&contact.user).unwrap().unwrap();
        assert!(now.token != contact.token && now.token != THEIRS);
        assert!(now.former_tokens.contains(&contact.token), "it is taken back when they have the new one");
    });
}

/// The one mailbox of the contact's one device, and a token of this name.
fn reached_by(handle: Handle) -> DeliveryGrant {
    let relay = RelayAddress { relay: RelayId::new([1; 32]), addresses: Vec::new() };
    let mailbox = MailboxAddress { relay, mailbox: MailboxId::new([2; 16]), epoch: 1, priority: 0 };
    let token = TokenGrant::issue(&Secret::new([3; 32]), Step::named(handle));
    DeliveryGrant { device: DeviceId::new([4; 32]), mailbox, token }
}

/// Who asked by a second link was let in, while a sibling knew of the first one alone and told something else.
#[test]
fn what_a_concurrent_record_only_took_over_gives_way_to_what_another_changed() {
    on_a_device(|ctx| {
        let contact = contact(ctx);
        let [first, second, token] = [1, 2, 3].map(|n| Handle::new([n; 8]));
        let asks = |link, replaces| AccountRecord {
            invitation: Some(link),
            grants: vec![reached_by(link)],
            replaces,
            ..record(&contact)
        };
        let asked = vec![wrote(ctx, &contact, asks(first, Vec::new()))];
        let took_over = AccountRecord { verified: true, ..asks(first, asked.clone()) };
        let again = vec![wrote(ctx, &contact, asks(second, asked))];
        let let_in = AccountRecord { grants: vec![reached_by(token)], ..asks(second, again) };
        for (mut record, other) in [(took_over.clone(), let_in.clone()), (let_in, took_over)] {
            learn(ctx, &mut record, other).unwrap();
            assert_eq!(record.grants, [reached_by(token)]);
            assert_eq!(record.invitation, Some(second));
        }
    });
}
