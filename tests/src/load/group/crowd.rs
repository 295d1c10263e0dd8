//! Members of a group who are known and never answer: their keys, lists and bundles are real, their engines are not there.

use anyhow::Context;
use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use undertone::store::{Contact, ContactState, Member, NodeTx, OlmSession, PeerDevice};
use undertone_protocol::crypto::{AccountState, Crypto, OutboundChannel, Vodozemac, XWingKey, XWingPublic};
use undertone_protocol::ids::{
    ConversationId, CurveKey, DeviceId, Handle, Locator, MailboxId, Secret, UserId,
};
use undertone_protocol::keys::{
    Bundle, BundleAccess, BundleFields, Certificate, DeliveryGrant, DeviceKey, DeviceList, IdentityKey,
    ListedDevice, MailboxAddress, Name, RelayAddress, SealedBlob, seal_blob,
};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{Step, TokenGrant};
use undertone_protocol::wire::{self, frame::Body};

/// One of them, with one device.
pub(super) struct Extra {
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    name: Name,
    olm: AccountState,
    list: DeviceList,
    bundle: Bundle,
    access: BundleAccess,
    mailbox: MailboxAddress,
    secret: Secret,
}

impl Extra {
    pub(super) fn new(
        number: usize,
        relay: &RelayAddress,
        rng: &mut ChaCha20Rng,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let identity = IdentityKey::from_seed(&Secret::random(rng));
        let key = DeviceKey::random(rng);
        let mut olm = Vodozemac.new_account();
        let (olm_key, fallback) = (Vodozemac.identity_key(&olm)?, Vodozemac.new_fallback_prekey(&mut olm)?);
        let certificate = Certificate::issue(&identity, key.device(), olm_key, Name::new("desktop")?, now);
        let listed = ListedDevice { certificate: certificate.clone(), revoked: false };
        let list = DeviceList::issue(&identity, None, vec![listed]);
        let mailbox =
            MailboxAddress { relay: relay.clone(), mailbox: MailboxId::random(rng), epoch: 1, priority: 0 };
        let fields = BundleFields {
            certificate,
            device_list: list.clone(),
            xwing_key: XWingKey::random(rng).public().as_bytes().to_vec().into(),
            fallback_prekey: fallback,
            mailboxes: vec![mailbox.clone()],
            issued: now,
        };
        Ok(Self {
            user: identity.user(),
            device: key.device(),
            name: Name::new(&format!("Member {number}"))?,
            olm,
            list,
            bundle: Bundle::issue(&key, fields),
            access: BundleAccess {
                device: key.device(),
                relay: relay.clone(),
                locator: Locator::random(rng),
                key: Secret::random(rng),
            },
            mailbox,
            secret: Secret::random(rng),
        })
    }

    /// What its device asks of its home relay once.
    pub(super) fn asks(&self, rng: &mut ChaCha20Rng) -> [Body; 2] {
        let BundleAccess { locator, key, .. } = &self.access;
        let register = wire::Register {
            mailbox: self.mailbox.mailbox.to_wire(),
            secret: self.secret.expose().to_vec().into(),
            epoch: self.mailbox.epoch,
            invitation: Bytes::new(),
        };
        let bundle = seal_blob(SealedBlob::Bundle, &self.bundle.signed, key, locator, rng);
        [Body::Register(register), Body::PutBundle(wire::PutBundle { locator: locator.to_wire(), bundle })]
    }

    /// Puts it into a device's store as somebody with whom it has spoken: as a contact, or as a member of a group.
    pub(super) fn known_to(
        &mut self,
        tx: &mut dyn NodeTx,
        state: ContactState,
        rng: &mut ChaCha20Rng,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let mut contact = Contact::new(self.user, self.name.clone(), state, Handle::random(rng), now);
        contact.device_list = Some(self.list.clone());
        contact.bundles = vec![self.access.clone()];
        contact.introduced = vec![(self.device, now)];
        if state == ContactState::Accepted {
            contact.grants = vec![self.grant(&[Handle::random(rng)])?];
        }
        tx.put_contact(&contact)?;
        let (bundle, user, device) = (self.bundle.clone(), self.user, self.device);
        tx.put_peer_device(&PeerDevice { device, user, bundle, prekey: None, fetched: now })?;
        self.has_spoken(tx, rng, now)
    }

    /// The session and the channel of a device to this one, as they are once both have spoken.
    fn has_spoken(
        &mut self,
        tx: &mut dyn NodeTx,
        rng: &mut ChaCha20Rng,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let theirs = tx.olm_account()?.context("a store without an account")?;
        let fields = &self.bundle.fields;
        let mut state =
            Vodozemac.open_session(&theirs, &fields.certificate.olm_key, &fields.fallback_prekey)?;
        let first = Vodozemac.encrypt(&mut state, b"hello")?;
        let identity: CurveKey = Vodozemac.identity_key(&theirs)?;
        let mut mine = Vodozemac.accept_session(&mut self.olm, &identity, &first)?.session;
        let answer = Vodozemac.encrypt(&mut mine, b"hello")?;
        Vodozemac.decrypt(&mut state, &answer)?;
        let id = *Vodozemac.session_id(&state)?.as_bytes();
        tx.put_olm_session(&OlmSession { device: self.device, id, state, used: now })?;
        let xwing = XWingPublic::from_slice(&fields.xwing_key)?;
        let mut channel = OutboundChannel::open(rng, self.device, &xwing, now)?;
        channel.seal(b"hello".to_vec())?;
        let hash = *channel.hash();
        channel.acknowledge(&hash, 1);
        Ok(tx.put_outbound_channel(&self.device, &channel)?)
    }

    /// Puts it into a store as a member of a group who introduced themselves there.
    pub(super) fn member_of(
        &self,
        tx: &mut dyn NodeTx,
        group: ConversationId,
        rng: &mut ChaCha20Rng,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let grants = vec![self.grant(&[Handle::random(rng), Handle::random(rng)])?];
        let introduced = vec![(self.device, now)];
        let member = Member::new(group, self.user, Handle::random(rng), 1);
        Ok(tx.put_member(&Member { grants, introduced, ..member })?)
    }

    fn grant(&self, handles: &[Handle]) -> anyhow::Result<DeliveryGrant> {
        grant(self.device, &self.mailbox, &self.secret, handles)
    }
}

/// A mailbox with a token whose steps have these names.
pub(super) fn grant(
    device: DeviceId,
    mailbox: &MailboxAddress,
    secret: &Secret,
    handles: &[Handle],
) -> anyhow::Result<DeliveryGrant> {
    let (first, others) = handles.split_first().context("a token without steps")?;
    let mut token = TokenGrant::issue(secret, Step::named(*first));
    for handle in others {
        token = token.extend(Step::named(*handle)).context("a token of too many steps")?;
    }
    Ok(DeliveryGrant { device, mailbox: mailbox.clone(), token })
}
