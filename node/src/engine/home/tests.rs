use super::super::tests::{START, on_a_device};
use super::*;
use crate::LinkId;
use crate::store::StoredInvitation;

/// As many as a connection that breaks soon confirms are confirmed, however many there are.
#[test]
fn of_many_invitations_a_few_are_asked_at_once() {
    on_a_device(|ctx| {
        let home = ctx.tx.home_relays().unwrap().remove(0);
        let relay = home.address.relay;
        let mut links = Links::new(ctx.rng);
        links.want_home(&home.address, START);
        let link = LinkId::home(relay);
        links.up(&link, START, &mut Outputs::default());
        assert!(links.get_mut(&link).unwrap().greeted(START));
        for n in 0..100 {
            let handle = Handle::new([n; 8]);
            let (used_by, unconfirmed) = (Vec::new(), vec![relay]);
            let invitation = StoredInvitation { handle, uses_max: 1, used_by, not_after: START, unconfirmed };
            ctx.tx.put_invitation(&invitation).unwrap();
        }
        let asks = |ctx: &mut Context<'_>, links: &mut Links| {
            let mut out = Outputs::default();
            put_introductions(ctx, links, &home, &mut out).unwrap();
            out.net.len()
        };
        assert_eq!(asks(ctx, &mut links), INTRODUCTIONS_ASKED_MAX);
        assert_eq!(asks(ctx, &mut links), 0);
        for request in 1..=100 {
            let Some(Asked::PutIntroduction(handle)) = links.answered(&link, request, ctx.now) else {
                panic!()
            };
            introduction_stored(ctx, &relay, &handle).unwrap();
            assert!(asks(ctx, &mut links) <= 1);
        }
        assert!(ctx.tx.invitations().unwrap().iter().all(|one| one.unconfirmed.is_empty()));
    });
}
