//! The resolver against the reference model, which shares nothing with it, over random groups: the same members, the
//! same settings, the same rule for what does not count, the same entries; for all that there is, and for what each
//! operation stood on.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{ConversationId, DeviceId, DeviceListHash, EntryId, OperationHash, UserId};
use undertone_protocol::keys::{DeviceRevoke, DeviceRevokeFields, Name};
use undertone_protocol::membership as real;
use undertone_protocol::membership::{
    Action, CutHeads, EntryPlace, EntryVerdict, PlaceError, Placed, Resolver, SettingsChange, Verdict,
};
use undertone_tests::model::{
    Anchored, Cut, Device, Entry, Field, Kind, Model, NUMBER_MAX, Numbers, Op, OpId, POLICY_MEMBERS_ADD,
    POLICY_OWNERS_ADD, Role, Rule, User, View, World, entries_count,
};

const WORLDS: u64 = 2_500;
/// In so many worlds each operation's past is looked at too.
const WORLDS_WITH_PASTS: u64 = 300;
/// In so many devices that gave one number twice are looked at.
const WORLDS_WITH_FORKS: u64 = 600;

#[test]
fn the_resolver_and_the_model_agree() {
    for seed in 0..WORLDS {
        let world = World::random(seed);
        let mut resolver = resolved(&world);
        let model = Model::of(world.group, &world.ops);
        let held: BTreeSet<OpId> =
            world.ops.iter().filter(|op| resolver.contains(&hash(op))).map(|op| op.id).collect();
        let expected = model.view(&held);
        compare(&resolver.view(), &expected, &format!("seed {seed}"));
        for op in &world.ops {
            let rule = expected.counts.get(&op.id).copied().unwrap_or(Err(Rule::Form));
            assert_eq!(verdict(&resolver, op), rule, "seed {seed}: {op:?}");
        }
        compare_entries(&world, &mut resolver, seed);
    }
}

#[test]
fn they_agree_on_what_each_operation_stood_on() {
    for seed in 0..WORLDS_WITH_PASTS {
        let world = World::random(seed);
        let mut resolver = resolved(&world);
        let model = Model::of(world.group, &world.ops);
        let by_id: BTreeMap<OpId, &Op> = world.ops.iter().map(|op| (op.id, op)).collect();
        for op in &world.ops {
            if !resolver.contains(&hash(op)) {
                continue;
            }
            let mut past = BTreeSet::new();
            let mut open = vec![op.id];
            while let Some(id) = open.pop() {
                if past.insert(id) {
                    open.extend(&by_id[&id].parents);
                }
            }
            let view = resolver.view_at(&[hash(op)]).unwrap();
            compare(&view, &model.view(&past), &format!("seed {seed} at {:?}", op.id));
        }
    }
}

/// The same where devices fork: what has a good form, what is left out, and what the rest shows. The operations come
/// in the order in which they came about, and their numbers are what they say, or what they should say.
#[test]
fn they_agree_on_devices_that_forked() {
    let (mut left_out, mut refused, mut spared) = (0, 0, 0);
    for seed in 0..WORLDS_WITH_FORKS {
        let world = World::random(seed);
        let model = Model::of(world.group, &world.ops);
        for numbers in [Numbers::Given, Numbers::Right] {
            let expected = Anchored::of(&model, &world.ops, numbers);
            let mut found = anchored(&world, numbers);
            let view = model.view(&expected.anchored);
            compare(&found.view(), &view, &format!("seed {seed}, {numbers:?}"));
            for op in world.ops.iter().filter(|op| model.view(&expected.held).counts.contains_key(&op.id)) {
                let at = format!("seed {seed}, {numbers:?}: {op:?}");
                assert_eq!(found.contains(&hash(op)), expected.held.contains(&op.id), "{at}");
                assert_eq!(found.is_anchored(&hash(op)), expected.anchored.contains(&op.id), "{at}");
                let counts = found.verdict(&hash(op)) == Some(Verdict::Counts);
                assert_eq!(counts, view.counts.get(&op.id) == Some(&Ok(())), "{at}");
            }
            left_out += expected.held.len() - expected.anchored.len();
            refused += world.ops.len() - expected.held.len();
            let all = expected.anchored.iter().filter_map(|id| world.ops.iter().find(|op| op.id == *id));
            spared += all.filter(|op| found.fork_of(&device(op.device)).is_some()).count();
        }
    }
    assert!(left_out > 100 && refused > 100 && spared > 100, "{left_out} {refused} {spared}");
}

fn anchored(world: &World, numbers: Numbers) -> real::Anchored {
    let mut found = real::Anchored::default();
    let mut first: BTreeMap<(Device, u32), OpId> = BTreeMap::new();
    for op in &world.ops {
        let begins = op.kind == Kind::Create && op.id != world.group.id;
        if !op.signed || op.number > NUMBER_MAX || begins {
            continue;
        }
        let _ = found.place(placed(world, op), (numbers == Numbers::Given).then_some(op.number));
        // What has no place tells of a fork too.
        if numbers == Numbers::Given && *first.entry((op.device, op.number)).or_insert(op.id) != op.id {
            found.fork(device(op.device), op.number);
        }
    }
    found
}

/// As much of a world as has good form, in the order in which it came about: parents first.
fn resolved(world: &World) -> Resolver {
    let mut resolver = Resolver::default();
    for op in &world.ops {
        // What a document looks at before the resolver does.
        let begins = op.kind == Kind::Create && op.id != world.group.id;
        if !op.signed || op.number > NUMBER_MAX || begins {
            continue;
        }
        match resolver.place(placed(world, op)) {
            Ok(()) | Err(PlaceError::MissingParent(_) | PlaceError::NotAntichain | PlaceError::Parents) => {}
            Err(error) => panic!("{error}: {op:?}"),
        }
    }
    resolver
}

fn placed(world: &World, op: &Op) -> Placed {
    let named = |id: &OpId| world.ops.iter().find(|op| op.id == *id).map(hash);
    let of = |id: &OpId| named(id).unwrap_or(OperationHash::new([0xff; 32]));
    Placed {
        hash: hash(op),
        user: user(op.author),
        device: device(op.device),
        parents: op.parents.iter().map(of).collect(),
        action: action(&op.kind, world.group.cap, &of),
    }
}

fn compare(view: &real::View, expected: &View, at: &str) {
    let rank = |rank: &undertone_tests::model::Rank| (role(rank.role), rank.generation);
    let members: BTreeMap<UserId, (real::Role, u32)> =
        expected.members.iter().map(|(id, member)| (user(*id), rank(&member.rank))).collect();
    let found = view.members.iter().map(|(id, member)| (*id, (member.rank.role, member.rank.generation)));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), members, "{at}: members");
    let former: BTreeMap<UserId, (real::Role, u32)> =
        expected.former.iter().map(|(id, last)| (user(*id), rank(last))).collect();
    let found = view.past_members.iter().map(|(id, last)| (*id, (last.role, last.generation)));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), former, "{at}: past members");
    assert_eq!(view.acting_owner, expected.acting.map(user), "{at}: acting owner");
    let revoked: BTreeSet<(UserId, DeviceId)> =
        expected.revoked.iter().map(|(id, of)| (user(*id), device(*of))).collect();
    assert_eq!(view.revoked_devices, revoked, "{at}: revoked devices");
    let mut settings = real::Settings::default();
    for (field, value) in &expected.settings {
        let change = setting(*field, *value);
        match field {
            Field::Name => settings.name = change.name,
            Field::Picture => settings.picture = change.picture.unwrap(),
            Field::Timer => settings.timer_s = change.timer_s.unwrap(),
            Field::Policy => settings.may_add = change.may_add.unwrap(),
        }
    }
    assert_eq!(view.settings, settings, "{at}: settings");
}

fn verdict(resolver: &Resolver, op: &Op) -> Result<(), Rule> {
    Err(match resolver.verdict(&hash(op)) {
        Some(Verdict::Counts) => return Ok(()),
        None | Some(Verdict::LeftOut) => Rule::Form,
        Some(Verdict::Unsupported) => Rule::Supported,
        Some(Verdict::Killed(_)) => Rule::Killed,
        Some(Verdict::Forbidden(forbidden)) => match forbidden.rule {
            5 => Rule::Allowed,
            6 => Rule::LastOwner,
            7 => Rule::Fence,
            15 => Rule::Cut,
            16 => Rule::Cap,
            other => panic!("rule {other}"),
        },
    })
}

fn compare_entries(world: &World, resolver: &mut Resolver, seed: u64) {
    let hashes: BTreeMap<OpId, OperationHash> = world.ops.iter().map(|op| (op.id, hash(op))).collect();
    let below = ancestors(&world.entries);
    for (id, counts) in entries_count(world.group, &world.ops, &world.entries) {
        let written = world.entries.iter().find(|entry| entry.id == id).unwrap();
        let heads: Vec<OperationHash> = written.heads.iter().map(|head| hashes[head]).collect();
        let place = EntryPlace { user: user(written.author), device: device(written.device), heads: &heads };
        let is_below =
            |head: &EntryId| below.iter().any(|(of, upto)| entry(*of) == *head && upto.contains(&id));
        let found = resolver.entry_counts(place, is_below);
        assert_eq!(found == Ok(EntryVerdict::Counts), counts, "seed {seed}: {written:?}: {found:?}");
    }
}

/// Each entry with its ancestors, itself included.
fn ancestors(
    entries: &[Entry],
) -> BTreeMap<undertone_tests::model::EntryId, BTreeSet<undertone_tests::model::EntryId>> {
    let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for entry in entries {
        let mut upto: BTreeSet<_> =
            entry.parents.iter().filter_map(|parent| all.get(parent)).flatten().copied().collect();
        upto.insert(entry.id);
        all.insert(entry.id, upto);
    }
    all
}

fn action(kind: &Kind, cap: usize, of: &impl Fn(&OpId) -> OperationHash) -> Action {
    match kind {
        Kind::Create => {
            Action::Create(real::Create { salt: [0; 16], cap, settings: SettingsChange::default() })
        }
        Kind::Add { user: target, role: given } => Action::Add { user: user(*target), role: role(*given) },
        Kind::Remove { user: target, cut } => {
            Action::Remove { user: user(*target), cut: cut.as_ref().map(|cut| real_cut(cut, of)) }
        }
        Kind::SetRole { user: target, role: given } => {
            Action::SetRole { user: user(*target), role: role(*given) }
        }
        Kind::Leave { successor } => Action::Leave { successor: successor.map(user) },
        Kind::DeviceRevoke { user: owner, device: revoked, cut } => {
            let heads = real_cut(cut, of).devices.remove(&device(*revoked)).unwrap_or_default();
            let fields = DeviceRevokeFields {
                user: user(*owner),
                list: DeviceListHash::new([0; 32]),
                device: device(*revoked),
                conversation: ConversationId::new([0; 32]),
                cut: heads.entry.map(|head| (1, head)),
            };
            // Its signatures are looked at before the resolver sees it.
            let signed = Signed { body: Vec::new().into(), signature: [0; 64] };
            Action::DeviceRevoke(Box::new(DeviceRevoke { fields, operation_head: heads.operation, signed }))
        }
        Kind::Settings { field, value } => Action::Settings(setting(*field, *value)),
    }
}

fn real_cut(cut: &Cut, of: &impl Fn(&OpId) -> OperationHash) -> real::Cut {
    let heads = |(id, (operation, last)): (&Device, &(Option<OpId>, Option<_>))| {
        (device(*id), CutHeads { operation: operation.as_ref().map(of), entry: last.map(entry) })
    };
    real::Cut { devices: cut.iter().map(heads).collect() }
}

fn setting(field: Field, value: u32) -> SettingsChange {
    let mut change = SettingsChange::default();
    match field {
        Field::Name => change.name = Some(Name::new(&value.to_string()).unwrap()),
        Field::Picture => change.picture = Some(value.to_be_bytes().to_vec().into()),
        Field::Timer => change.timer_s = Some(value.into()),
        Field::Policy if value & POLICY_MEMBERS_ADD != 0 => change.may_add = Some(real::Role::Member),
        Field::Policy if value & POLICY_OWNERS_ADD != 0 => change.may_add = Some(real::Role::Owner),
        Field::Policy => change.may_add = Some(real::Role::Admin),
    }
    change
}

fn role(role: Role) -> real::Role {
    match role {
        Role::Owner => real::Role::Owner,
        Role::Admin => real::Role::Admin,
        Role::Member => real::Role::Member,
    }
}

/// Compares as the model's does.
fn hash(op: &Op) -> OperationHash {
    OperationHash::new(wide(op.hash, op.id.0))
}

fn user(user: User) -> UserId {
    UserId::new(wide(u64::from(user.0) + 1, 0))
}

fn device(device: Device) -> DeviceId {
    DeviceId::new(wide(u64::from(device.0) + 1, 0))
}

fn entry(entry: undertone_tests::model::EntryId) -> EntryId {
    EntryId::new(wide(u64::from(entry.0) + 1, 0))
}

fn wide(first: u64, last: u32) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&first.to_be_bytes());
    bytes[28..].copy_from_slice(&last.to_be_bytes());
    bytes
}
