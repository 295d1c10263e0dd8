//! People with keys, what they sign, and several replicas that know more or less of it.

use proptest::prelude::*;

use crate::codec::Signed;
use crate::ids::{CertificateHash, CurveKey, DeviceId, DeviceListHash, OperationHash, Secret, UserId};
use crate::keys::{Certificate, DeviceKey, DeviceRevoke, DeviceRevokeFields, IdentityKey, Name};
use crate::membership::*;
use crate::time::Timestamp;

/// Users with a device each; the first makes the group.
pub(super) const PEOPLE: u8 = 4;

pub(super) const SUPPLIER: DeviceId = DeviceId::new([0xaa; 32]);

/// Somebody with one device.
pub(super) struct Person {
    pub(super) identity: IdentityKey,
    pub(super) device: DeviceKey,
    pub(super) certificate: Certificate,
}

pub(super) fn person(number: u8) -> Person {
    let identity = IdentityKey::from_seed(&Secret::new([number.wrapping_add(1); 32]));
    let device = DeviceKey::from_seed(&Secret::new([number.wrapping_add(11); 32]));
    let name = Name::new(&format!("device {number}")).unwrap();
    let made = Timestamp::from_ms(1_700_000_000_000);
    let certificate = Certificate::issue(&identity, device.device(), CurveKey::new([9; 32]), name, made);
    Person { identity, device, certificate }
}

impl Person {
    pub(super) fn user(&self) -> UserId {
        self.identity.user()
    }

    pub(super) fn hash(&self) -> CertificateHash {
        Operation::certificate_hash(&self.certificate)
    }

    pub(super) fn create(&self, salt: u8) -> SignedOperation {
        let settings = SettingsChange { name: Some(Name::new("hikers").unwrap()), ..Default::default() };
        self.sign(Operation {
            group: None,
            device: self.device.device(),
            certificate: self.hash(),
            parents: Vec::new(),
            number: 0,
            action: Action::Create(Create { salt: [salt; 16], cap: 1_024, settings }),
        })
    }

    /// The next operation on top of what a document holds.
    pub(super) fn next(&self, document: &Document, action: Action) -> SignedOperation {
        self.sign(document.draft(&self.user(), self.device.device(), self.hash(), action).unwrap())
    }

    /// The same; `None` if the device is known to have forked.
    pub(super) fn try_next(&self, document: &Document, action: Action) -> Option<SignedOperation> {
        Some(self.sign(document.draft(&self.user(), self.device.device(), self.hash(), action)?))
    }

    pub(super) fn sign(&self, operation: Operation) -> SignedOperation {
        SignedOperation::issue(&self.device, operation).unwrap()
    }

    /// The identity's word on the device.
    pub(super) fn revocation(&self, document: &Document, last: Option<OperationHash>) -> Action {
        let fields = DeviceRevokeFields {
            user: self.user(),
            list: DeviceListHash::new([5; 32]),
            device: self.device.device(),
            conversation: document.group(),
            cut: None,
        };
        Action::DeviceRevoke(Box::new(DeviceRevoke::issue_in_group(&self.identity, fields, last)))
    }
}

/// Everybody's certificates.
pub(super) fn known(hash: &CertificateHash) -> Option<Certificate> {
    (0..PEOPLE).map(person).find(|person| person.hash() == *hash).map(|person| person.certificate)
}

pub(super) fn unknown(_: &CertificateHash) -> Option<Certificate> {
    None
}

/// A document of this Create, and nothing else.
pub(super) fn founded(create: &SignedOperation) -> Document {
    let mut document = Document::new(Document::group_of(create));
    take(&mut document, create);
    document
}

pub(super) fn take(document: &mut Document, signed: &SignedOperation) -> Vec<OperationHash> {
    match document.take(SUPPLIER, signed.signed(), known).unwrap() {
        Taken::Held(released) => {
            assert_eq!(released.refused, []);
            released.held
        }
        Taken::Known | Taken::Waits(_) => Vec::new(),
        dropped @ Taken::Dropped(_) => panic!("{dropped:?}"),
    }
}

/// A name for the group.
pub(super) fn name(name: &str) -> Action {
    Action::Settings(SettingsChange { name: Some(Name::new(name).unwrap()), ..Default::default() })
}

/// One step of a world: somebody writes, or learns what somebody else knows.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Write {
        who: u8,
        kind: u8,
        whom: u8,
    },
    Learn {
        who: u8,
        from: u8,
    },
    /// Writes as if a few of its own writings had not been.
    Fork {
        who: u8,
        back: u8,
        kind: u8,
        whom: u8,
    },
}

pub(super) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let write = (0..PEOPLE, 0..8_u8, 0..PEOPLE).prop_map(|(who, kind, whom)| Step::Write { who, kind, whom });
    let learn = (0..PEOPLE, 0..PEOPLE).prop_map(|(who, from)| Step::Learn { who, from });
    let fork = (0..PEOPLE, 1..4_u8, 0..8_u8, 0..PEOPLE).prop_map(|(who, back, kind, whom)| Step::Fork {
        who,
        back,
        kind,
        whom,
    });
    let peaceful = prop_oneof![3 => write.clone(), 2 => learn.clone()];
    let forking = prop_oneof![6 => write, 5 => learn, 1 => fork];
    prop_oneof![prop::collection::vec(peaceful, 1..most), prop::collection::vec(forking, 1..most)]
}

/// All operations that come of these steps, parents first. Everybody is in from the start.
pub(super) fn grown(steps: &[Step]) -> Vec<SignedOperation> {
    let people: Vec<Person> = (0..PEOPLE).map(person).collect();
    let mut document = founded(&people[0].create(7));
    for (number, person) in people.iter().enumerate().skip(1) {
        let role = if number == 3 { Role::Member } else { Role::Admin };
        let add = people[0].next(&document, Action::Add { user: person.user(), role });
        take(&mut document, &add);
    }
    let mut all: Vec<SignedOperation> = document.since(&[]).map(|(_, signed)| signed.clone()).collect();
    let mut replicas = vec![document.clone(); people.len()];
    let mut earlier = vec![vec![document.clone()]; people.len()];
    for step in steps {
        match step {
            Step::Write { who, kind, whom } => {
                let (who, whom) = (usize::from(*who), &people[usize::from(*whom)]);
                // Who knows that they are out does nothing any more.
                if !replicas[who].view().is_in(&people[who].user()) {
                    continue;
                }
                let action = action(&replicas[who], *kind, whom);
                let Some(signed) = people[who].try_next(&replicas[who], action) else { continue };
                earlier[who].push(replicas[who].clone());
                take(&mut replicas[who], &signed);
                // Who went back may sign what they signed already.
                if !all.contains(&signed) {
                    all.push(signed);
                }
            }
            Step::Learn { who, from } => {
                let from = replicas[usize::from(*from)].clone();
                send(&from, &mut replicas[usize::from(*who)]);
            }
            Step::Fork { who, back, kind, whom } => {
                let (who, whom) = (usize::from(*who), &people[usize::from(*whom)]);
                let back = earlier[who].len().saturating_sub(usize::from(*back));
                let mut then = earlier[who][back].clone();
                if !then.view().is_in(&people[who].user()) {
                    continue;
                }
                let action = action(&then, *kind, whom);
                let Some(signed) = people[who].try_next(&then, action) else { continue };
                take(&mut then, &signed);
                // They go on from here, and others learn of it.
                replicas[who] = then;
                // What they signed before, word for word, is no fork.
                if !all.contains(&signed) {
                    all.push(signed);
                }
            }
        }
    }
    all
}

fn action(document: &Document, kind: u8, whom: &Person) -> Action {
    let user = whom.user();
    match kind {
        0 => Action::Add { user, role: Role::Member },
        1 => Action::Remove { user, cut: None },
        2 => Action::SetRole { user, role: Role::Admin },
        3 => Action::SetRole { user, role: Role::Member },
        4 => Action::Leave { successor: Some(user) },
        5 => whom.revocation(document, document.heads().first().copied()),
        _ => name(&format!("name {}", document.len())),
    }
}

/// One exchange: what the other lacks, as far as its landmarks tell.
pub(super) fn send(from: &Document, to: &mut Document) {
    for proof in from.proofs() {
        to.take_proof(proof.signed()).unwrap();
    }
    let lacking: Vec<Signed> = from.since(&to.landmarks()).map(|(_, signed)| signed.signed()).collect();
    for signed in lacking {
        to.take(SUPPLIER, signed, known).unwrap();
    }
    to.forget(&SUPPLIER);
}

/// What two replicas must agree on.
pub(super) fn assert_same(one: &mut Document, other: &mut Document) {
    assert_eq!(one.heads(), other.heads());
    let hashes = |document: &Document| {
        let mut hashes: Vec<OperationHash> = document.since(&[]).map(|(hash, _)| hash).collect();
        hashes.sort();
        hashes
    };
    assert_eq!(hashes(one), hashes(other));
    for hash in hashes(one) {
        assert_eq!(one.get(&hash), other.get(&hash));
        let counts = |document: &Document| document.verdict(&hash) == Some(Verdict::Counts);
        assert_eq!(counts(one), counts(other));
    }
    assert_eq!(one.view(), other.view());
    let forks = |document: &Document| -> Vec<(DeviceId, u32)> {
        document.proofs().map(|proof| (proof.device(), proof.number())).collect()
    };
    assert_eq!(forks(one), forks(other));
}
