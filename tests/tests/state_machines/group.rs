//! Up to twelve devices of six users with a replica each of one group's document.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{
    CertificateHash, CurveKey, DeviceId, DeviceListHash, OperationHash, Secret, UserId,
};
use undertone_protocol::keys::{Certificate, DeviceKey, DeviceRevoke, DeviceRevokeFields, IdentityKey, Name};
use undertone_protocol::membership::{self as real, Action, Document, Operation, SignedOperation, Verdict};
use undertone_protocol::time::Timestamp;
use undertone_tests::model::{Anchored, Device, Field, Group, Kind, Model, Numbers, Op, OpId, Role, User};

const DEVICES: usize = 12;
const DEVICES_PER_USER: usize = 2;

/// What happens; all numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub(crate) enum Transition {
    /// Somebody writes on top of what they know.
    Draft { who: usize, kind: u8, whom: usize },
    /// Somebody writes once more what they wrote so many operations ago.
    Fork { who: usize, back: usize, kind: u8, whom: usize },
    /// The user of a device revokes it, through some device.
    Revoke { whom: usize, by: usize },
    /// Some of what one holds comes to another, in any order.
    Deliver { from: usize, to: usize, picks: Vec<usize> },
    /// One tells another all that they lack.
    Exchange { from: usize, to: usize },
    /// A replica is stored, and loaded.
    Reload { who: usize },
}

/// How many act. What they hold is seen in the replicas alone.
pub(crate) struct Devices;

impl ReferenceStateMachine for Devices {
    type State = usize;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<usize> {
        // Not made less when a failure is made smaller: the steps name devices.
        (2..=DEVICES).no_shrink().boxed()
    }

    fn transitions(devices: &usize) -> BoxedStrategy<Transition> {
        let device = 0..*devices;
        let of = (device.clone(), 0..10_u8, device.clone());
        prop_oneof![
            6 => of.clone().prop_map(|(who, kind, whom)| Transition::Draft { who, kind, whom }),
            1 => (of, 1..4_usize).prop_map(|((who, kind, whom), back)| Transition::Fork { who, back, kind, whom }),
            1 => (device.clone(), device.clone()).prop_map(|(whom, by)| Transition::Revoke { whom, by }),
            4 => (device.clone(), device.clone(), prop::collection::vec(0..64_usize, 1..6))
                .prop_map(|(from, to, picks)| Transition::Deliver { from, to, picks }),
            4 => (device.clone(), device.clone()).prop_map(|(from, to)| Transition::Exchange { from, to }),
            1 => device.prop_map(|who| Transition::Reload { who }),
        ]
        .boxed()
    }

    fn apply(devices: usize, _: &Transition) -> usize {
        devices
    }
}

struct Person {
    user: IdentityKey,
    device: DeviceKey,
    certificate: Certificate,
}

fn person(number: usize) -> Person {
    let byte = u8::try_from(number).unwrap();
    let user = IdentityKey::from_seed(&Secret::new([100 + byte / 2; 32]));
    let device = DeviceKey::from_seed(&Secret::new([1 + byte; 32]));
    let made = Timestamp::from_ms(1_700_000_000_000);
    let name = Name::new("device").unwrap();
    let certificate = Certificate::issue(&user, device.device(), CurveKey::new([9; 32]), name, made);
    Person { user, device, certificate }
}

/// The devices, and all that they ever signed.
pub(crate) struct Replicas {
    people: Vec<Person>,
    documents: Vec<Document>,
    /// What each held before each of its own operations.
    earlier: Vec<Vec<Document>>,
    signed: Vec<SignedOperation>,
    /// Which replica the last step touched.
    touched: usize,
}

impl StateMachineTest for Replicas {
    type SystemUnderTest = Self;
    type Reference = Devices;

    fn init_test(devices: &usize) -> Self {
        let people: Vec<Person> = (0..*devices).map(person).collect();
        let create = Operation {
            group: None,
            device: people[0].device.device(),
            certificate: Operation::certificate_hash(&people[0].certificate),
            parents: Vec::new(),
            number: 0,
            action: Action::Create(real::Create {
                salt: [7; 16],
                cap: 5,
                settings: real::SettingsChange::default(),
            }),
        };
        let create = SignedOperation::issue(&people[0].device, create).unwrap();
        let empty = Document::new(Document::group_of(&create));
        let mut replicas = Self {
            documents: vec![empty; *devices],
            earlier: vec![Vec::new(); *devices],
            signed: vec![create.clone()],
            touched: 0,
            people,
        };
        for who in 0..*devices {
            replicas.take(who, &create);
        }
        replicas
    }

    fn apply(mut replicas: Self, _: &usize, transition: Transition) -> Self {
        match transition {
            Transition::Draft { who, kind, whom } => {
                let action = replicas.action(who, kind, whom);
                let before = replicas.documents[who].clone();
                if replicas.write(who, action) {
                    replicas.earlier[who].push(before);
                }
            }
            Transition::Fork { who, back, kind, whom } => {
                let earlier = replicas.earlier[who].len();
                if let Some(before) = earlier.checked_sub(back) {
                    replicas.documents[who] = replicas.earlier[who][before].clone();
                    let action = replicas.action(who, kind, whom);
                    replicas.write(who, action);
                }
            }
            Transition::Revoke { whom, by } => {
                let action = replicas.revocation(whom, by);
                replicas.write(by, action);
            }
            Transition::Deliver { from, to, picks } => {
                let heads: Vec<_> = replicas.documents[from].heads();
                let held: Vec<SignedOperation> =
                    replicas.documents[from].past_of(&heads, &[]).map(|(_, signed)| signed.clone()).collect();
                picks.iter().for_each(|pick| replicas.take(to, &held[pick % held.len()]));
            }
            Transition::Exchange { from, to } => replicas.exchange(from, to),
            Transition::Reload { who } => {
                let loaded = Document::load(&replicas.documents[who].save()).unwrap();
                assert_eq!(shown(&mut replicas.documents[who]), shown(&mut loaded.clone()));
                replicas.documents[who] = loaded;
                replicas.touched = who;
            }
        }
        replicas
    }

    fn check_invariants(replicas: &Self, _: &usize) {
        let mut documents = replicas.documents.clone();
        // The same operations, and the same forks known: the same view.
        let mut views = BTreeMap::new();
        for document in &mut documents {
            let (held, shown) = (held(document), shown(document));
            assert_eq!(views.entry(held).or_insert_with(|| shown.clone()), &shown);
        }
        let touched = &mut documents[replicas.touched];
        from_scratch(touched);
        replicas.compare_with_model(touched);
    }

    fn teardown(mut replicas: Self, _: usize) {
        let devices = replicas.documents.len();
        // What waited comes free, and then it goes round.
        let all = |replicas: &Self| replicas.documents.iter().map(held).collect::<Vec<_>>();
        let mut before = Vec::new();
        while before != all(&replicas) {
            before = all(&replicas);
            for who in 1..devices {
                replicas.exchange(who, 0);
                replicas.exchange(0, who);
            }
        }
        for who in 1..devices {
            let [one, other] = [0, who].map(|at| replicas.documents[at].clone());
            assert_eq!(held(&one), held(&other));
            assert_eq!(shown(&mut one.clone()), shown(&mut other.clone()));
        }
        replicas.compare_with_model(&mut replicas.documents[0].clone());
    }
}

/// What is anchored, and where devices forked.
fn held(document: &Document) -> (BTreeSet<OperationHash>, Vec<(DeviceId, u32)>) {
    let forks = document.proofs().map(|proof| (proof.device(), proof.number()));
    (document.since(&[]).map(|(hash, _)| hash).collect(), forks.collect())
}

fn shown(document: &mut Document) -> (real::View, Vec<OperationHash>, Vec<bool>) {
    let hashes: BTreeSet<OperationHash> = document.since(&[]).map(|(hash, _)| hash).collect();
    let counts = hashes.iter().map(|hash| document.verdict(hash) == Some(Verdict::Counts)).collect();
    (real::View::clone(&document.view()), document.heads(), counts)
}

fn known(hash: &CertificateHash) -> Option<Certificate> {
    let mut all = (0..DEVICES).map(|number| person(number).certificate);
    all.find(|certificate| Operation::certificate_hash(certificate) == *hash)
}

/// A document that is made of the same at once, the other way round where it can be.
fn from_scratch(document: &mut Document) {
    let mut scratch = Document::new(document.group());
    let all: Vec<Signed> = document.since(&[]).map(|(_, signed)| signed.signed()).collect();
    for signed in all.into_iter().rev() {
        scratch.take(DeviceId::new([1; 32]), signed, known).unwrap();
    }
    for proof in document.proofs() {
        scratch.take_proof(proof.signed()).unwrap();
    }
    assert_eq!((scratch.waiting(), scratch.aside()), (0, 0));
    assert_eq!(shown(&mut scratch), shown(document));
}

impl Replicas {
    fn take(&mut self, who: usize, signed: &SignedOperation) {
        self.touched = who;
        self.documents[who].take(DeviceId::new([1; 32]), signed.signed(), known).unwrap();
    }

    fn write(&mut self, who: usize, action: Action) -> bool {
        let device = self.people[who].device.device();
        let certificate = Operation::certificate_hash(&self.people[who].certificate);
        let user = self.people[who].certificate.user;
        // Who knows that they are not in does nothing.
        if !self.documents[who].view().is_in(&user) {
            return false;
        }
        let Some(draft) = self.documents[who].draft(&user, device, certificate, action) else { return false };
        let signed = SignedOperation::issue(&self.people[who].device, draft).unwrap();
        self.take(who, &signed);
        self.signed.push(signed);
        true
    }

    fn exchange(&mut self, from: usize, to: usize) {
        self.touched = to;
        let from = self.documents[from].clone();
        let to = &mut self.documents[to];
        for proof in from.proofs() {
            to.take_proof(proof.signed()).unwrap();
        }
        for (_, signed) in from.since(&to.landmarks()) {
            to.take(DeviceId::new([2; 32]), signed.signed(), known).unwrap();
        }
        to.forget(&DeviceId::new([2; 32]));
        // One exchange brings all that is anchored there, if both know of the same forks.
        if held(&from).1 == held(to).1 {
            assert!(to.missing(&from.heads()).is_empty());
        }
    }

    fn user(&self, number: usize) -> UserId {
        self.people[number].user.user()
    }

    fn action(&self, who: usize, kind: u8, whom: usize) -> Action {
        let user = self.user(whom);
        match kind {
            0..=2 => Action::Add {
                user,
                role: [real::Role::Owner, real::Role::Admin, real::Role::Member][usize::from(kind)],
            },
            3 => Action::Remove { user, cut: None },
            4 => Action::SetRole { user, role: real::Role::Owner },
            5 => Action::SetRole { user, role: real::Role::Admin },
            6 => Action::SetRole { user, role: real::Role::Member },
            7 => Action::Leave { successor: Some(user) },
            8 => Action::Leave { successor: None },
            // No two operations are alike.
            _ => {
                let timer_s = Some(u64::try_from(self.signed.len() * DEVICES + who).unwrap());
                Action::Settings(real::SettingsChange { timer_s, ..real::SettingsChange::default() })
            }
        }
    }

    /// Cuts at the last that the carrier knows of the device.
    fn revocation(&self, whom: usize, by: usize) -> Action {
        let device = self.people[whom].device.device();
        let document = &self.documents[by];
        let own = document.since(&[]).filter(|(_, signed)| signed.operation.device == device);
        let last = own.max_by_key(|(_, signed)| signed.operation.number).map(|(hash, _)| hash);
        let fields = DeviceRevokeFields {
            user: self.user(whom),
            list: DeviceListHash::new([5; 32]),
            device,
            conversation: document.group(),
            cut: None,
        };
        Action::DeviceRevoke(Box::new(DeviceRevoke::issue_in_group(&self.people[whom].user, fields, last)))
    }

    /// The reference model, over all that the document holds for good, and the proofs.
    fn compare_with_model(&self, document: &mut Document) {
        let mut all: BTreeMap<OperationHash, SignedOperation> =
            document.since(&[]).map(|(hash, signed)| (hash, signed.clone())).collect();
        let ids: BTreeMap<OperationHash, OpId> =
            all.keys().zip(0..).map(|(hash, number)| (*hash, OpId(number))).collect();
        let mut ops: Vec<Op> =
            all.iter().map(|(hash, signed)| self.op(ids[hash], hash, signed, &ids)).collect();
        // Proofs have no place, as far as the model sees.
        for signed in document.proofs().flat_map(real::Proof::signed) {
            let operation = Operation::from_bytes(&signed.body).unwrap();
            if all.values().any(|known| known.bytes == signed.body) {
                continue;
            }
            let id = OpId(u32::try_from(1_000 + ops.len()).unwrap());
            let signed = SignedOperation { operation, bytes: signed.body, signature: signed.signature };
            let op = self.op(id, &OperationHash::new([0xff; 32]), &signed, &ids);
            ops.push(Op { parents: vec![OpId(u32::MAX)], ..op });
        }
        let create =
            all.iter().find(|(_, signed)| signed.operation.group.is_none()).map(|(hash, _)| ids[hash]);
        let group = Group { id: create.unwrap(), cap: 5 };
        let model = Model::of(group, &ops);
        let anchored = Anchored::of(&model, &ops, Numbers::Given);
        assert_eq!(anchored.anchored, ids.values().copied().collect(), "all of this is anchored");
        let expected = model.view(&anchored.anchored);
        let view = document.view();
        let role = |role: real::Role| match role {
            real::Role::Owner => Role::Owner,
            real::Role::Admin => Role::Admin,
            real::Role::Member => Role::Member,
        };
        let members: BTreeMap<User, (Role, u32)> = view
            .members
            .iter()
            .map(|(id, m)| (self.number(id), (role(m.rank.role), m.rank.generation)))
            .collect();
        let of_model: BTreeMap<User, (Role, u32)> =
            expected.members.iter().map(|(id, m)| (*id, (m.rank.role, m.rank.generation))).collect();
        assert_eq!(members, of_model);
        assert_eq!(view.acting_owner.map(|id| self.number(&id)), expected.acting);
        let timer = u32::try_from(view.settings.timer_s).unwrap();
        assert_eq!(timer, expected.settings.get(&Field::Timer).copied().unwrap_or_default());
        assert_eq!(view.revoked_devices.len(), expected.revoked.len());
        for (hash, _) in std::mem::take(&mut all) {
            let counts = document.verdict(&hash) == Some(Verdict::Counts);
            assert_eq!(counts, expected.counts[&ids[&hash]].is_ok());
        }
    }

    fn number(&self, user: &UserId) -> User {
        let at = (0..self.people.len()).find(|number| self.user(*number) == *user).unwrap();
        User(u32::try_from(at / DEVICES_PER_USER).unwrap())
    }

    fn device(&self, device: &DeviceId) -> Device {
        let at = self.people.iter().position(|person| person.device.device() == *device).unwrap();
        Device(u32::try_from(at).unwrap())
    }

    fn op(
        &self,
        id: OpId,
        hash: &OperationHash,
        signed: &SignedOperation,
        ids: &BTreeMap<OperationHash, OpId>,
    ) -> Op {
        let operation = &signed.operation;
        let device = self.device(&operation.device);
        let role = |given: real::Role| match given {
            real::Role::Owner => Role::Owner,
            real::Role::Admin => Role::Admin,
            real::Role::Member => Role::Member,
        };
        let kind = match &operation.action {
            Action::Create(_) => Kind::Create,
            Action::Add { user, role: given } => Kind::Add { user: self.number(user), role: role(*given) },
            Action::Remove { user, .. } => Kind::Remove { user: self.number(user), cut: None },
            Action::SetRole { user, role: given } => {
                Kind::SetRole { user: self.number(user), role: role(*given) }
            }
            Action::Leave { successor } => {
                Kind::Leave { successor: successor.map(|user| self.number(&user)) }
            }
            Action::DeviceRevoke(revoke) => {
                let of = self.device(&revoke.fields.device);
                let head =
                    revoke.operation_head.map(|head| ids.get(&head).copied().unwrap_or(OpId(u32::MAX)));
                Kind::DeviceRevoke {
                    user: self.number(&revoke.fields.user),
                    device: of,
                    cut: [(of, (head, None))].into(),
                }
            }
            Action::Settings(change) => {
                let value = u32::try_from(change.timer_s.unwrap()).unwrap();
                Kind::Settings { field: Field::Timer, value }
            }
            other => panic!("{other:?}"),
        };
        Op {
            id,
            // Compares as the hash does.
            hash: u64::from_be_bytes(hash.as_bytes()[..8].try_into().unwrap()),
            author: User(device.0 / 2),
            device,
            number: operation.number,
            parents: operation
                .parents
                .iter()
                .map(|parent| ids.get(parent).copied().unwrap_or(OpId(u32::MAX)))
                .collect(),
            kind,
            signed: true,
        }
    }
}
