//! A store that an earlier build wrote (`relay/recorded/README.md`) is migrated and served from.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use tempfile::TempDir;
use undertone_protocol::ids::Locator;
use undertone_protocol::wire::{self, DenialReason, ResultCode, frame::Body};

use super::world::*;
use crate::limits::Limits;
use crate::migration::{count, migrate};
use crate::store::format::{self, FORMAT};
use crate::store::usage::usage;
use crate::store::{Batch, FjallOptions, FjallStore, Overlay, Store};

/// A copy of the recorded directory.
struct Recorded {
    directory: TempDir,
}

impl Recorded {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded/format-4"), directory.path());
        // git keeps no empty folders.
        fs::create_dir_all(directory.path().join("store/keyspaces/1/tables")).unwrap();
        Self { directory }
    }

    fn open(&self) -> FjallStore {
        FjallStore::open(&self.directory.path().join("store"), FjallOptions::default()).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::write(target, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// A world over what is recorded, once migrated, in which devices 1 to 3 said hello.
fn world() -> World {
    let mut world = World::new(Limits::default());
    let mut batch = Batch::default();
    for (key, value) in Recorded::new().open().range(&[], &[u8::MAX], usize::MAX).unwrap() {
        batch.put(key, value);
    }
    world.store.commit(batch).unwrap();
    migrate(&mut world.store).unwrap();
    world.restart();
    for (conn, number) in [(A, 1), (B, 2), (C, 3)] {
        world.hello(conn, number);
    }
    world
}

#[test]
fn a_store_of_format_4_is_counted_anew() {
    let recorded = Recorded::new();
    let mut store = recorded.open();
    assert_eq!(format::found(&store).unwrap(), Some(4));
    migrate(&mut store).unwrap();
    drop(store);
    let store = recorded.open();
    assert_eq!(format::found(&store).unwrap(), Some(FORMAT));
    assert_eq!(usage(&Overlay::new(&store)).unwrap(), count(&store).unwrap());
}

#[test]
fn what_waited_in_a_store_of_format_4_is_delivered() {
    let mut world = world();
    let out = world.attach(A, 1);
    let Body::Attached(attached) = answer(&out) else { panic!("{out:?}") };
    assert_eq!(attached.checkpoint, None);
    let delivered: Vec<(u32, u64, Bytes)> = deliveries(&out, A);
    let texts = [(0, 2, "two"), (0, 4, "four"), (0, 5, "to both"), (0, 6, "hello"), (1, 1, "receipt")];
    assert_eq!(delivered, texts.map(|(class, seq, text)| (class, seq, Bytes::from(text))));
    assert_eq!(deliveries(&world.attach(B, 2), B), [(0, 1, Bytes::from("to both"))]);
    // What was acknowledged is still known, and numbers go on.
    assert_eq!(code(&world.publish(b"one", &grant(1))), ResultCode::Duplicate);
    assert_eq!(code(&world.publish(b"new", &grant(1))), ResultCode::Stored);
    world.tell(A, Body::Ack(ack(0, 7, &[])));
}

#[test]
fn bundles_and_tokens_of_a_store_of_format_4_hold() {
    let mut world = world();
    let get = Body::GetBundle(wire::GetBundle { locator: Locator::new([1; 32]).to_wire() });
    for prekey in ["k2", "k3", ""] {
        let Body::Bundle(answer) = answer(&world.send(C, get.clone())) else { panic!("no bundle") };
        assert_eq!((answer.bundle, answer.prekey), (Bytes::from("bundle"), Bytes::from(prekey)));
    }
    let revoked = world.publish(b"revoked", &grant(2));
    assert_eq!((code(&revoked), revoked.reason()), (ResultCode::Denied, DenialReason::Revoked));
    let by = |world: &mut World, joiner: u8, text: &[u8]| {
        world.publish(text, &grant(5).extend(step(joiner)).unwrap())
    };
    assert_eq!(code(&by(&mut world, 11, b"the second use")), ResultCode::Stored);
    let third = by(&mut world, 12, b"one too many");
    assert_eq!((code(&third), third.reason()), (ResultCode::Denied, DenialReason::UsedUp));
}
