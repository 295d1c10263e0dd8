//! An operation as an Automerge change.

use std::num::NonZeroU64;

use automerge::legacy::{Key, ObjectId, Op, OpType};
use automerge::{ActorId, Automerge, Change, ChangeHash, ExpandedChange, ScalarValue};

use crate::ids::OperationHash;

const ACTOR_LABEL: &str = "undertone v1 operation actor";

/// What stands in a chunk behind the operation's bytes: that the insert replaces nothing.
const CHUNK_TAIL_BYTES: usize = 2;

/// A change that carries an operation.
#[derive(Debug, Clone)]
pub(super) struct Carried {
    /// What the operation is called.
    pub(super) hash: OperationHash,
    /// The number of its one Automerge op: 1 + the largest of those that it stands on.
    pub(super) number: NonZeroU64,
    change: Change,
}

/// Why Automerge does not take what was built for it: a fault of this build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Automerge refuses the document: {0}")]
pub struct ExportError(String);

/// The change that carries these bytes, on top of `parents` (ascending), of whose ops `below` has the largest
/// number (0: it stands on nothing). A function of its arguments alone.
///
/// The actor follows from the bytes. If a device's operations had one actor, two of them with one sequence number
/// could never be in one document, and replicas that saw different ones would never agree.
pub(super) fn carry(bytes: &[u8], parents: &[OperationHash], below: u64) -> Carried {
    let number = NonZeroU64::MIN.saturating_add(below);
    let key = data_encoding::HEXLOWER.encode(blake3::hash(bytes).as_bytes());
    let insert = Op {
        action: OpType::Put(ScalarValue::Bytes(bytes.to_vec())),
        obj: ObjectId::Root,
        key: Key::Map(key.into()),
        pred: Vec::new().into(),
        insert: false,
    };
    let change: Change = ExpandedChange {
        operations: vec![insert],
        actor_id: ActorId::from(&blake3::derive_key(ACTOR_LABEL, bytes)),
        hash: None,
        seq: 1,
        start_op: number,
        time: 0,
        message: None,
        deps: parents.iter().map(|parent| ChangeHash(*parent.as_bytes())).collect(),
        extra_bytes: Vec::new(),
        author: None,
    }
    .into();
    Carried { hash: OperationHash::new(change.hash().0), number, change }
}

impl Carried {
    /// The change as Automerge writes it, uncompressed: header, dependencies, columns.
    pub(super) fn chunk(&self) -> &[u8] {
        self.change.raw_bytes()
    }
}

/// Where an operation of so many bytes stands in the chunk that carries it, if it is one.
pub(super) fn operation_in(chunk: &[u8], operation_bytes: usize) -> Option<&[u8]> {
    let end = chunk.len().checked_sub(CHUNK_TAIL_BYTES)?;
    chunk.get(end.checked_sub(operation_bytes)?..end)
}

/// The document in Automerge's compact form.
///
/// Automerge draws an actor for a document when it makes one. Nothing is written under it here, and it is not saved.
pub(super) fn export(changes: impl Iterator<Item = Carried>) -> Result<Vec<u8>, ExportError> {
    let changes: Vec<Change> = changes.map(|carried| carried.change).collect();
    let mut document = Automerge::new();
    document.apply_changes(changes).map_err(|error| ExportError(error.to_string()))?;
    Ok(document.save())
}
