//! Two replicas of a group: operations of its members, altered ones, any bytes rightly signed, in any order, some
//! of them never delivered, and stores that are damaged under a right checksum.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{Steps, device, identity_of, signed, user};
use undertone_protocol::codec::{Label, Signed};
use undertone_protocol::ids::{CertificateHash, CurveKey, DeviceId, OperationHash};
use undertone_protocol::keys::{Certificate, Name};
use undertone_protocol::limits::{WAITING_OPERATIONS_MAX, WAITING_SUPPLIERS_MAX};
use undertone_protocol::membership::{
    Action, Create, Document, Operation, Proof, Role, SettingsChange, SignedOperation,
};
use undertone_protocol::time::Timestamp;

const STEPS_MAX: usize = 80;
/// Who are in: users 1 to 3, whose devices are 11 to 13.
const PEOPLE: u8 = 3;

fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    let mut steps = Steps(data);
    for _ in 0..STEPS_MAX {
        if world.step(&mut steps).is_none() {
            break;
        }
        let [one, other] = &world.replicas;
        assert!(one.waiting().max(other.waiting()) <= WAITING_OPERATIONS_MAX * WAITING_SUPPLIERS_MAX);
    }
    world.agree();
});

struct World {
    replicas: [Document; 2],
    sent: Vec<Signed>,
}

fn certificate(number: u8) -> Certificate {
    let name = Name::new("device").unwrap();
    let made = Timestamp::from_ms(1_700_000_000_000);
    let device = device(10 + number).device();
    Certificate::issue(&identity_of(number), device, CurveKey::new([9; 32]), name, made)
}

fn known(hash: &CertificateHash) -> Option<Certificate> {
    let mut certificates = (1..=PEOPLE).map(certificate);
    certificates.find(|certificate| Operation::certificate_hash(certificate) == *hash)
}

fn supplier(byte: u8) -> DeviceId {
    DeviceId::new([byte % 4; 32])
}

impl World {
    fn new() -> Self {
        let create = Operation {
            group: None,
            device: device(11).device(),
            certificate: Operation::certificate_hash(&certificate(1)),
            parents: Vec::new(),
            number: 0,
            action: Action::Create(Create { salt: [7; 16], cap: 5, settings: SettingsChange::default() }),
        };
        let create = SignedOperation::issue(&device(11), create).unwrap();
        let document = Document::new(Document::group_of(&create));
        let mut world = Self { replicas: [document.clone(), document], sent: Vec::new() };
        world.both(create.signed());
        for number in 2..=PEOPLE {
            let add = world.write(0, 1, Action::Add { user: user(number), role: Role::Admin });
            world.both(add.unwrap());
        }
        world
    }

    fn both(&mut self, signed: Signed) {
        for at in 0..2 {
            self.deliver(at, 0, signed.clone());
        }
    }

    fn deliver(&mut self, at: usize, from: u8, signed: Signed) {
        let replica = &mut self.replicas[at];
        let before = (replica.len(), replica.waiting());
        if replica.take(supplier(from), signed, known).is_err() {
            // But it may prove that its device forked.
            assert_eq!((replica.len(), replica.waiting()), before, "what is refused changes nothing");
        }
    }

    fn write(&self, at: usize, number: u8, action: Action) -> Option<Signed> {
        let hash = Operation::certificate_hash(&certificate(number));
        let draft = self.replicas[at].draft(&user(number), device(10 + number).device(), hash, action)?;
        Some(SignedOperation::issue(&device(10 + number), draft).ok()?.signed())
    }

    fn step(&mut self, steps: &mut Steps<'_>) -> Option<()> {
        let (kind, byte) = (steps.byte()?, steps.byte()?);
        let (at, number) = (usize::from(byte) % 2, byte / 2 % PEOPLE + 1);
        match kind % 6 {
            0 | 1 => {
                let signed = self.write(at, number, action(steps.byte()?))?;
                self.sent.push(signed.clone());
                if kind % 2 == 0 {
                    self.deliver(at, byte, signed);
                }
            }
            2 => {
                let signed = signed(Label::Operation, 10 + number, steps.chunk()?);
                self.sent.push(signed.clone());
                self.deliver(at, byte, signed);
            }
            3 => {
                let sent = steps.choice(self.sent.len())?;
                let mut body = self.sent[sent].body.to_vec();
                let place = steps.choice(body.len())?;
                body[place] = steps.byte()?;
                let altered = signed(Label::Operation, 10 + number, &body);
                self.sent.push(altered.clone());
                self.deliver(at, byte, altered);
            }
            4 => {
                let sent = steps.choice(self.sent.len())?;
                self.deliver(at, byte, self.sent[sent].clone());
            }
            _ => self.store(at, steps)?,
        }
        Some(())
    }

    /// Stores a replica and loads it; and what the store would be if something in it were different.
    fn store(&mut self, at: usize, steps: &mut Steps<'_>) -> Option<()> {
        let mut saved = self.replicas[at].save();
        let loaded = Document::load(&saved).expect("what was saved is loaded");
        assert_eq!(loaded.heads(), self.replicas[at].heads());
        self.replicas[at] = loaded;
        let place = usize::from(steps.byte()?) << 8 | usize::from(steps.byte()?);
        let place = 33 + place % (saved.len() - 33);
        saved[place] = steps.byte()?;
        let checksum = blake3::hash(&saved[33..]);
        saved[1..33].copy_from_slice(checksum.as_bytes());
        if let Ok(mut loaded) = Document::load(&saved) {
            loaded.view();
        }
        Some(())
    }

    /// What one lacks the other sends; then both are the same.
    fn agree(&mut self) {
        // What had waited in the one may have come free by what the other sent: once more.
        for (from, to) in [(0, 1), (1, 0), (0, 1), (1, 0), (0, 1)] {
            let proofs: Vec<[Signed; 2]> = self.replicas[from].proofs().map(Proof::signed).collect();
            for proof in proofs {
                self.replicas[to].take_proof(proof).expect("what proved a fork proves it");
            }
            let landmarks = self.replicas[to].landmarks();
            let lacking: Vec<Signed> =
                self.replicas[from].since(&landmarks).map(|(_, signed)| signed.signed()).collect();
            for signed in lacking {
                self.deliver(to, 9, signed);
            }
            self.replicas[to].forget(&supplier(9));
        }
        let [one, other] = &mut self.replicas;
        assert_eq!(one.heads(), other.heads());
        assert_eq!(one.view(), other.view());
        assert_eq!(one.check_signatures(), Ok(()));
        let hashes: Vec<OperationHash> = one.since(&[]).map(|(hash, _)| hash).collect();
        assert!(hashes.iter().all(|hash| other.get(hash).is_some()));
    }
}

fn action(byte: u8) -> Action {
    let user = user(byte / 8 % 5 + 1);
    match byte % 8 {
        0 => Action::Add { user, role: Role::Member },
        1 => Action::Add { user, role: Role::Admin },
        2 => Action::Remove { user, cut: None },
        3 => Action::SetRole { user, role: Role::Owner },
        4 => Action::SetRole { user, role: Role::Member },
        5 => Action::Leave { successor: None },
        6 => Action::Leave { successor: Some(user) },
        _ => {
            let picture = Some(Bytes::copy_from_slice(&[byte]));
            Action::Settings(SettingsChange { picture, ..SettingsChange::default() })
        }
    }
}
