//! Twelve devices write into one conversation; three stores get the entries in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use rand_core::SeedableRng;
use undertone::log;
use undertone::store::{Cut, CutReason, MemoryStore, NodeStore, NodeTx, StoreError};
use undertone_protocol::entry::{EntryBody, EntryHeader, SignedEntry};
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};
use undertone_protocol::log::{FrontierItem, OrderKey, effective_time};
use undertone_protocol::time::Timestamp;

const DEVICES: usize = 12;
const STORES: usize = 3;
const CONVERSATION: ConversationId = ConversationId::new([5; 32]);

/// What happens; all numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub(crate) enum Transition {
    /// A device writes on top of what it wrote, and of some of what others did.
    Write { device: usize, heads: Vec<usize>, claimed: u64 },
    /// It gives a number of its own once more.
    Fork { device: usize, back: usize, claimed: u64 },
    /// An entry comes to a store.
    Arrive { store: usize, entry: usize },
    /// The user of a device says where it ends; all learn of it.
    Cut { device: usize, through: u64 },
}

pub(crate) struct Entries;

impl ReferenceStateMachine for Entries {
    type State = ();
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Transition> {
        // Few write the most, so that their numbers grow.
        let device = prop_oneof![3 => 0..3_usize, 1 => 0..DEVICES];
        let claimed = prop_oneof![8 => 1_000..2_000_u64, 1 => 0..u64::from(u32::MAX)];
        prop_oneof![
            5 => (device.clone(), prop::collection::vec(0..200_usize, 0..4), claimed.clone())
                .prop_map(|(device, heads, claimed)| Transition::Write { device, heads, claimed }),
            1 => (device.clone(), 0..4_usize, claimed)
                .prop_map(|(device, back, claimed)| Transition::Fork { device, back, claimed }),
            8 => (0..STORES, 0..200_usize).prop_map(|(store, entry)| Transition::Arrive { store, entry }),
            1 => (device, 0..8_u64).prop_map(|(device, through)| Transition::Cut { device, through }),
        ]
        .boxed()
    }

    fn apply((): (), _: &Transition) {}
}

pub(crate) struct Replicas {
    stores: Vec<MemoryStore>,
    arrived: Vec<BTreeSet<EntryId>>,
    entries: Vec<SignedEntry>,
    /// The last entry of each device, on the branch where it is.
    last: BTreeMap<usize, Vec<EntryId>>,
    /// By the word of their users.
    cuts: BTreeMap<usize, u64>,
}

fn key(device: usize) -> SigningKey {
    SigningKey::from_bytes(&[u8::try_from(device + 1).unwrap(); 32])
}

fn id(device: usize) -> DeviceId {
    DeviceId::new(key(device).verifying_key().to_bytes())
}

impl StateMachineTest for Replicas {
    type SystemUnderTest = Self;
    type Reference = Entries;

    fn init_test((): &()) -> Self {
        let stores = (0..STORES).map(|_| MemoryStore::default()).collect();
        let arrived = vec![BTreeSet::new(); STORES];
        Self { stores, arrived, entries: Vec::new(), last: BTreeMap::new(), cuts: BTreeMap::new() }
    }

    fn apply(mut replicas: Self, (): &(), transition: Transition) -> Self {
        match transition {
            Transition::Write { device, heads, claimed } => replicas.write(device, &heads, claimed),
            Transition::Fork { device, back, claimed } => {
                let chain = replicas.last.entry(device).or_default();
                chain.truncate(chain.len().saturating_sub(back + 1));
                replicas.write(device, &[], claimed);
            }
            Transition::Arrive { store, entry } if !replicas.entries.is_empty() => {
                let entry = replicas.entries[entry % replicas.entries.len()].clone();
                replicas.arrive(store, entry);
            }
            Transition::Arrive { .. } => {}
            Transition::Cut { device, through } => {
                let known = replicas.cuts.entry(device).or_insert(through);
                *known = through.min(*known);
                for store in &mut replicas.stores {
                    let cut = Cut { through, head: None, why: CutReason::Revoked };
                    store.transaction(|tx| log::cut(tx, &CONVERSATION, &id(device), cut)).unwrap();
                }
            }
        }
        replicas
    }

    fn check_invariants(replicas: &Self, (): &()) {
        for store in 0..STORES {
            replicas.check(store);
        }
    }

    fn teardown(mut replicas: Self, (): ()) {
        for store in 0..STORES {
            let mut all = replicas.entries.clone();
            let turned = store * all.len() / STORES;
            all.rotate_left(turned);
            if store == 1 {
                all.reverse();
            }
            // What was not kept may show a fork when others are there.
            let twice = all.clone().into_iter().chain(all);
            twice.for_each(|entry| replicas.arrive(store, entry));
            replicas.check(store);
        }
        let [one, two, three] = [0, 1, 2].map(|store| replicas.shown(store));
        assert_eq!(one, two);
        assert_eq!(two, three);
    }
}

/// Ids in order, and what is held of each device as others are told.
type Shown = (Vec<EntryId>, Vec<(DeviceId, FrontierItem)>);

impl Replicas {
    fn write(&mut self, device: usize, heads: &[usize], claimed: u64) {
        let chain = self.last.entry(device).or_default();
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
        let body = EntryBody::text(&format!("entry {}", self.entries.len()), &mut rng).unwrap();
        let count = self.entries.len();
        let heads: BTreeSet<EntryId> =
            heads.iter().filter(|_| count > 0).map(|head| self.entries[head % count].id).collect();
        let header = EntryHeader {
            conversation: CONVERSATION,
            device: id(device),
            seq: u64::try_from(chain.len()).unwrap() + 1,
            prev: chain.last().copied(),
            heads: heads.into_iter().collect(),
            claimed: Timestamp::from_ms(claimed),
            membership_heads: Vec::new(),
            body_hash: body.hash(),
            expires: None,
        };
        let entry = SignedEntry::issue(&key(device), header, body);
        chain.push(entry.id);
        self.entries.push(entry);
    }

    /// As the engine takes an entry: of a third one with the same number it keeps only what shows a lower fork.
    fn arrive(&mut self, store: usize, entry: SignedEntry) {
        let EntryHeader { device, seq, .. } = entry.header;
        let entry_id = entry.id;
        let kept = self.stores[store].transaction(|tx| {
            let held = tx.entries_at(&CONVERSATION, &device, seq)?;
            if held.iter().any(|held| held.entry.id == entry_id) {
                return Ok(true);
            }
            let through = forked_after(tx, &entry)?;
            let moves = moves(tx, &device, through)?;
            if let Some(through) = through.filter(|_| moves) {
                let head = tx.entries_at(&CONVERSATION, &device, through)?.first().map(|held| held.entry.id);
                log::cut(tx, &CONVERSATION, &device, Cut { through, head, why: CutReason::Forked })?;
            }
            if held.len() > 1 && !moves {
                return Ok(false);
            }
            log::insert(tx, entry, Timestamp::from_ms(1))?;
            Ok(true)
        });
        if kept.unwrap() {
            self.arrived[store].insert(entry_id);
        }
    }

    /// Where the devices end, of whose entries these arrived.
    fn ends(&self, arrived: &BTreeSet<EntryId>) -> BTreeMap<DeviceId, u64> {
        let mut ends: BTreeMap<DeviceId, u64> =
            self.cuts.iter().map(|(device, end)| (id(*device), *end)).collect();
        let held = || self.entries.iter().filter(|entry| arrived.contains(&entry.id));
        let mut numbers: BTreeMap<(DeviceId, u64), BTreeSet<EntryId>> = BTreeMap::new();
        for entry in held() {
            numbers.entry((entry.header.device, entry.header.seq)).or_default().insert(entry.id);
        }
        for entry in held() {
            let EntryHeader { device, seq, prev, .. } = entry.header;
            let at = |seq| numbers.get(&(device, seq)).into_iter().flatten();
            let twice = (at(seq).count() > 1).then(|| seq - 1);
            let before = at(seq - 1).any(|before| Some(*before) != prev).then(|| seq - 2);
            for through in twice.into_iter().chain(before) {
                let end = ends.entry(device).or_insert(through);
                *end = (*end).min(through);
            }
        }
        ends
    }

    /// The order from scratch: by what stands in the entries alone.
    fn order(&self, arrived: &BTreeSet<EntryId>) -> Vec<EntryId> {
        let ends = self.ends(arrived);
        let mut effective: BTreeMap<EntryId, (Timestamp, bool)> = BTreeMap::new();
        let mut order = BTreeSet::new();
        // Parents were written first.
        for entry in self.entries.iter().filter(|entry| arrived.contains(&entry.id)) {
            let parents = entry.header.parents().filter_map(|parent| effective.get(&parent));
            let latest = parents.filter(|(_, counts)| *counts).map(|(time, _)| *time).max();
            let time = effective_time(entry.header.claimed, latest);
            let counts = ends.get(&entry.header.device).is_none_or(|end| entry.header.seq <= *end);
            effective.insert(entry.id, (time, counts));
            if counts {
                order.insert(OrderKey { effective: time, device: entry.header.device, entry: entry.id });
            }
        }
        order.into_iter().map(|key| key.entry).collect()
    }

    fn shown(&self, store: usize) -> Shown {
        let mut store = self.stores[store].clone();
        store.transaction(|tx| shown(tx)).unwrap()
    }

    fn check(&self, store: usize) {
        let (order, frontier) = self.shown(store);
        let arrived = &self.arrived[store];
        assert_eq!(order, self.order(arrived));
        let ends = self.ends(arrived);
        for (device, item) in frontier {
            let end = ends.get(&device).copied().unwrap_or(u64::MAX);
            let own = self
                .entries
                .iter()
                .filter(|entry| entry.header.device == device && arrived.contains(&entry.id));
            let numbers: BTreeSet<u64> =
                own.map(|entry| entry.header.seq).filter(|seq| *seq <= end).collect();
            let told: BTreeSet<u64> = (1..=200).filter(|seq| item.covers(*seq)).collect();
            assert_eq!(told, numbers, "{item:?}");
        }
    }
}

/// The last number before those that an entry shows to be used twice.
fn forked_after(tx: &dyn NodeTx, entry: &SignedEntry) -> Result<Option<u64>, StoreError> {
    let EntryHeader { device, seq, prev, .. } = entry.header;
    let at = |seq| tx.entries_at(&CONVERSATION, &device, seq);
    if at(seq - 1)?.iter().any(|before| Some(before.entry.id) != prev) {
        return Ok(Some(seq - 2));
    }
    let stands_on_another = at(seq + 1)?.iter().any(|after| after.entry.header.prev != Some(entry.id));
    Ok((!at(seq)?.is_empty() || stands_on_another).then(|| seq - 1))
}

/// Whether a cut before a fork is another one than is known.
fn moves(tx: &dyn NodeTx, device: &DeviceId, through: Option<u64>) -> Result<bool, StoreError> {
    let Some(through) = through else { return Ok(false) };
    let known = tx.cut(&CONVERSATION, device)?;
    Ok(known.is_none_or(|known| {
        through < known.through || through == known.through && known.why != CutReason::Forked
    }))
}

fn shown(tx: &mut dyn NodeTx) -> Result<Shown, StoreError> {
    let order = tx.history(&CONVERSATION, None, usize::MAX)?.iter().map(|stored| stored.entry.id).collect();
    let mut frontier = log::held(tx, &CONVERSATION)?;
    for (device, item) in &mut frontier {
        if let Some(cut) = tx.cut(&CONVERSATION, device)? {
            *item = log::up_to(tx, &CONVERSATION, device, item, &cut)?;
            // By the word of a user who does not say which entry that is, it is not told.
            if item.seq == cut.through {
                item.head = None;
            }
        }
    }
    Ok((order, frontier))
}
