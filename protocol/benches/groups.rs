//! What a group's membership document costs: taking operations, storing and loading them, seeing who is in.
//! `cargo bench -p undertone-protocol --bench groups`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may panic")]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{CertificateHash, ConversationId, CurveKey, DeviceId, Secret, UserId};
use undertone_protocol::keys::{Certificate, DeviceKey, IdentityKey, Name};
use undertone_protocol::membership::{
    Action, Create, Document, Operation, Role, SettingsChange, SignedOperation, Taken,
};
use undertone_protocol::time::Timestamp;

criterion_group!(benches, documents);
criterion_main!(benches);

/// Operations of a group.
const SIZES: [usize; 2] = [1_000, 10_000];
/// Who write in turn, with a device each.
const WRITERS: u8 = 8;
/// Operations that a forked device signs.
const FLOOD: usize = 2_000;

/// Admins who write, and what is known of their devices.
struct People {
    devices: Vec<DeviceKey>,
    certificates: BTreeMap<CertificateHash, Certificate>,
    hashes: Vec<CertificateHash>,
}

impl People {
    fn new() -> Self {
        let mut people = Self { devices: Vec::new(), certificates: BTreeMap::new(), hashes: Vec::new() };
        for seed in 1..=WRITERS {
            let device = DeviceKey::from_seed(&Secret::new([100 + seed; 32]));
            let name = Name::new("device").unwrap();
            let made = Timestamp::from_ms(1_700_000_000_000);
            let certificate =
                Certificate::issue(&identity(seed), device.device(), CurveKey::new([1; 32]), name, made);
            let hash = Operation::certificate_hash(&certificate);
            people.devices.push(device);
            people.certificates.insert(hash, certificate);
            people.hashes.push(hash);
        }
        people
    }

    fn certificate(&self, hash: &CertificateHash) -> Option<Certificate> {
        self.certificates.get(hash).cloned()
    }

    fn sign(&self, writer: usize, operation: Operation) -> SignedOperation {
        SignedOperation::issue(&self.devices[writer], operation).unwrap()
    }

    fn take(&self, document: &mut Document, signed: Signed) -> Taken {
        document.take(DeviceId::new([0; 32]), signed, |hash| self.certificate(hash)).unwrap()
    }

    /// What a writer does next on top of all that is held.
    fn next(&self, document: &Document, count: usize) -> SignedOperation {
        let writer = count % usize::from(WRITERS);
        let device = self.devices[writer].device();
        let user = identity(u8::try_from(writer).unwrap() + 1).user();
        self.sign(writer, document.draft(&user, device, self.hashes[writer], action(count)).unwrap())
    }

    /// A group of so many operations. Every tenth is written beside the one before it, and the next stands on both.
    fn group(&self, operations: usize) -> Document {
        let create =
            Action::Create(Create { salt: [7; 16], cap: 1_024, settings: SettingsChange::default() });
        let create = Operation {
            group: None,
            device: self.devices[0].device(),
            certificate: self.hashes[0],
            parents: Vec::new(),
            number: 0,
            action: create,
        };
        let create = self.sign(0, create);
        let mut document = Document::new(Document::group_of(&create));
        self.take(&mut document, create.signed());
        for writer in 1..WRITERS {
            let add = Action::Add { user: identity(writer + 1).user(), role: Role::Admin };
            let add =
                document.draft(&identity(1).user(), self.devices[0].device(), self.hashes[0], add).unwrap();
            self.take(&mut document, self.sign(0, add).signed());
        }
        let mut beside = None;
        for count in document.len()..operations {
            let next = self.next(&document, count);
            if count % 10 == 0 && count + 1 < operations {
                beside = Some(next.signed());
                continue;
            }
            self.take(&mut document, next.signed());
            if let Some(beside) = beside.take() {
                self.take(&mut document, beside);
            }
        }
        document
    }
}

fn identity(seed: u8) -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([seed; 32]))
}

/// Somebody comes, goes, or the group is called something else.
fn action(count: usize) -> Action {
    let mut user = [0; 32];
    user[..8].copy_from_slice(&(u64::try_from(count / 3 % 1_000).unwrap() + 1).to_be_bytes());
    let user = UserId::new(user);
    match count % 3 {
        0 => Action::Add { user, role: Role::Member },
        1 => {
            let name = Some(Name::new(&format!("group {count}")).unwrap());
            Action::Settings(SettingsChange { name, ..SettingsChange::default() })
        }
        _ => Action::Remove { user, cut: None },
    }
}

fn documents(criterion: &mut Criterion) {
    let people = People::new();
    let mut group = criterion.benchmark_group("membership document");
    group.sample_size(20);
    for size in SIZES {
        let mut document = people.group(size);
        assert_eq!(document.len(), size);
        document.view();
        let saved = document.save();
        let next = people.next(&document, size).signed();
        let beside = people.next(&document, size + 1).signed();
        let landmarks = document.landmarks();
        println!("{size} operations: {} bytes saved, {} landmarks", saved.len(), landmarks.len());
        println!("{} bytes in Automerge's compact form", document.automerge().unwrap().len());
        let id = |name| BenchmarkId::new(name, size);

        group.throughput(Throughput::Elements(u64::try_from(size).unwrap()));
        group.bench_function(id("load"), |bencher| bencher.iter(|| Document::load(&saved).unwrap()));
        group.bench_function(id("load, view"), |bencher| {
            bencher.iter(|| Document::load(&saved).unwrap().view());
        });
        group.bench_function(id("save"), |bencher| bencher.iter(|| document.save()));
        group.bench_function(id("save what came last"), |bencher| {
            bencher.iter(|| document.save_since(size - 1).unwrap());
        });
        group.bench_function(id("automerge"), |bencher| bencher.iter(|| document.automerge().unwrap()));
        group.bench_function(id("take all"), |bencher| bencher.iter(|| taken(&people, &document)));

        group.throughput(Throughput::Elements(1));
        group.bench_function(id("take one more"), |bencher| {
            let take = |document: &mut Document| people.take(document, next.clone());
            bencher.iter_batched_ref(|| document.clone(), take, BatchSize::LargeInput);
        });
        group.bench_function(id("take one more, view"), |bencher| {
            let take = |document: &mut Document| {
                people.take(document, next.clone());
                document.view()
            };
            bencher.iter_batched_ref(|| document.clone(), take, BatchSize::LargeInput);
        });
        group.bench_function(id("take one beside another"), |bencher| {
            let with_next = || {
                let mut document = document.clone();
                people.take(&mut document, next.clone());
                document
            };
            let take = |document: &mut Document| people.take(document, beside.clone());
            bencher.iter_batched_ref(with_next, take, BatchSize::LargeInput);
        });
        group.bench_function(id("since"), |bencher| {
            bencher.iter(|| document.since(black_box(&landmarks)).count());
        });
    }
    flood(&people, &mut group);
    group.finish();
}

/// A device that forked signs as much as it may, in another end; and then the one who brought it is gone.
fn flood(people: &People, group: &mut BenchmarkGroup<'_, WallTime>) {
    let document = people.group(1_000);
    let mut theirs = document.clone();
    let mut first = document.clone();
    people.take(&mut first, people.next(&document, 1).signed());
    let end: Vec<Signed> = (0..FLOOD)
        .map(|count| {
            let device = people.devices[1].device();
            let draft = theirs.draft(&identity(2).user(), device, people.hashes[1], action(50_000 + count));
            let next = people.sign(1, draft.unwrap()).signed();
            people.take(&mut theirs, next.clone());
            next
        })
        .collect();
    let flooded = || {
        let mut document = first.clone();
        end.iter().for_each(|signed| drop(people.take(&mut document, signed.clone())));
        assert_eq!(document.aside(), FLOOD);
        document
    };
    group.throughput(Throughput::Elements(u64::try_from(FLOOD).unwrap()));
    group.bench_function("take a flood", |bencher| bencher.iter(flooded));
    let full = flooded();
    group.bench_function("forget a flood", |bencher| {
        let forget = |document: &mut Document| document.forget(&DeviceId::new([0; 32]));
        bencher.iter_batched_ref(|| full.clone(), forget, BatchSize::LargeInput);
    });
}

/// All operations of a document, one after the other.
fn taken(people: &People, document: &Document) -> Document {
    let mut other = Document::new(ConversationId::new(*document.group().as_bytes()));
    for (_, signed) in document.since(&[]) {
        people.take(&mut other, signed.signed());
    }
    other
}
