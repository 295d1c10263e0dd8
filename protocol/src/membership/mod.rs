//! Groups: signed operations on who is in, and what follows from them (`spec/groups.md`).

mod action;
mod document;
mod json;
mod operation;
mod resolver;
mod role;
mod settings;
mod update;

pub use action::{Action, Create, Cut, CutHeads};
pub use document::{
    Document, ExportError, LoadError, Missing, Proof, ProofError, Released, TakeError, Taken,
};
pub use json::{JsonError, resolve_json};
pub use operation::{Operation, OperationError, SignedOperation};
pub use resolver::{
    Anchored, EntryPlace, EntryVerdict, Forbidden, Link, Member, PlaceError, Placed, Resolver, UnknownHead,
    Verdict, View,
};
pub use role::{Rank, Role};
pub use settings::{Settings, SettingsChange};
pub use update::{GroupUpdate, Person, Written};

#[cfg(test)]
mod tests;
