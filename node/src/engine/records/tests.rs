use undertone_protocol::ids::Handle;
use undertone_protocol::keys::Name;

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

/// What the sibling tells, knowing of this.
fn told(ctx: &mut Context<'_>, contact: &Contact, knowing: &[AccountRecord]) -> AccountRecord {
    let mut replaces = Vec::new();
    for known in knowing {
        let body = EntryBody::new(Content::Account(Box::new(known.clone())), ctx.rng).unwrap();
        replaces.push(writing::append(ctx, contact, body).unwrap());
    }
    AccountRecord { token: THEIRS, replaces, ..record(contact) }
}

#[test]
fn a_token_that_was_taken_back_here_is_not_taken_from_a_sibling() {
    on_a_device(|ctx| {
        let contact = contact(ctx);
        let told = told(ctx, &contact, &[]);
        assert!(follow(ctx, told).unwrap(), "the sibling is told");
        assert_eq!(ctx.tx.contact(&contact.user).unwrap().unwrap().token, contact.token);
    });
}

/// Or each would tell the other its own for ever.
#[test]
fn two_devices_that_took_back_each_others_token_agree_on_a_third() {
    on_a_device(|ctx| {
        let contact = contact(ctx);
        let told = told(ctx, &contact, &[record(&contact)]);
        assert!(follow(ctx, told).unwrap(), "the sibling is told");
        let now = ctx.tx.contact(&contact.user).unwrap().unwrap();
        assert!(now.token != contact.token && now.token != THEIRS);
        assert!(now.former_tokens.contains(&contact.token), "it is taken back when they have the new one");
    });
}
