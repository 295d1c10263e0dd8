//! A device's checkpoint, kept beside its mailbox.

use bytes::Bytes;
use undertone_protocol::limits::CHECKPOINT_BYTES_MAX;
use undertone_protocol::wire::{self, GoodbyeCode, RefusalCode, frame::Body};

use super::world::*;
use crate::core::Output;
use crate::limits::Limits;

fn checkpoint(body: usize, signature: usize) -> wire::Signed {
    wire::Signed { body: Bytes::from(vec![3; body]), signature: Bytes::from(vec![4; signature]) }
}

fn put(checkpoint: wire::Signed) -> Body {
    Body::PutCheckpoint(wire::PutCheckpoint { checkpoint: Some(checkpoint) })
}

fn attached(out: &[Output]) -> Option<wire::Signed> {
    match answer(out) {
        Body::Attached(attached) => attached.checkpoint,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_checkpoint_comes_with_the_attach() {
    let mut world = World::ready(Limits::default());
    assert_eq!(attached(&world.attach(A, 1)), None);
    for body in [7, CHECKPOINT_BYTES_MAX] {
        assert_eq!(answer(&world.send(A, put(checkpoint(body, 64)))), Body::Done(wire::Done {}));
        world.restart();
        world.hello(A, 1);
        assert_eq!(attached(&world.attach(A, 1)), Some(checkpoint(body, 64)), "it survives the process");
    }
    // Another mailbox, of the same device or another one, has its own.
    world.register(A, 2, 1);
    world.hello(C, 1);
    assert_eq!(attached(&world.attach(C, 2)), None);
}

#[test]
fn a_bad_checkpoint_is_refused_and_changes_nothing() {
    let mut world = World::ready(Limits::default());
    let Body::Refusal(refusal) = answer(&world.send(A, put(checkpoint(7, 64)))) else {
        panic!("not refused")
    };
    assert_eq!(refusal.code(), RefusalCode::Malformed, "no mailbox is attached");
    world.attach(A, 1);
    world.send(A, put(checkpoint(7, 64)));
    let bad = [checkpoint(CHECKPOINT_BYTES_MAX + 1, 64), checkpoint(7, 63)].map(put);
    for bad in bad.into_iter().chain([Body::PutCheckpoint(wire::PutCheckpoint { checkpoint: None })]) {
        let Body::Refusal(refusal) = answer(&world.send(A, bad)) else { panic!("not refused") };
        assert_eq!(refusal.code(), RefusalCode::Malformed);
    }
    assert_eq!(attached(&world.attach(A, 1)), Some(checkpoint(7, 64)));
    let out = world.tell(A, put(checkpoint(7, 63)));
    assert_eq!(ended(&out, A), Some(GoodbyeCode::Malformed), "nothing was asked that could be refused");
}
