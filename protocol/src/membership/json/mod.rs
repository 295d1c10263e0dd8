//! Operations and what follows from them as JSON, for people and for tests of other implementations: the resolver
//! without keys, hashes and signatures (`spec/groups.md`, "Resolving JSON").

mod error;
mod input;
mod names;
mod output;
mod read;

use std::collections::BTreeMap;

use super::action::Action;
use super::resolver::{Anchored, PlaceError};
use crate::ids::{DeviceId, OperationHash};
use names::Names;
use read::{ReadEntry, ReadOperation};

pub use error::JsonError;

/// Why an operation is not in the set (rule 1).
type Left = BTreeMap<String, &'static str>;

/// Reads operations, and entries if there are any, and tells as JSON who is in and what counts.
pub fn resolve_json(text: &str) -> Result<String, JsonError> {
    let input = input::parse(text)?;
    let names = Names::of(&input);
    let operations = read::operations(&input, &names)?;
    let entries = read::entries(&input, &names, &operations)?;
    let (mut resolver, left) = place_all(&operations);
    let output = output::output(&mut resolver, &names, &operations, &left, &entries);
    serde_json::to_string_pretty(&output).map_err(|error| JsonError::Output(error.to_string()))
}

/// Places what can be placed, parents first, whatever the order in the list; says why the rest can't be.
fn place_all(operations: &[ReadOperation]) -> (Anchored, Left) {
    let mut resolver = Anchored::default();
    let mut left = Left::new();
    let mut waiting: Vec<&ReadOperation> = Vec::new();
    for operation in operations {
        match operation.refused {
            Some(why) => drop(left.insert(operation.id.clone(), why)),
            None => waiting.push(operation),
        }
    }
    // Of several Creates the one with the least id makes the group.
    waiting.sort_by_key(|operation| operation.placed.hash);
    loop {
        let before = waiting.len();
        waiting.retain(|operation| match resolver.place(operation.placed.clone(), operation.number) {
            Err(PlaceError::MissingParent(_)) => true,
            Err(PlaceError::Create) if resolver.is_empty() => true,
            Err(error) => {
                left.extend(why_left(error).map(|why| (operation.id.clone(), why)));
                false
            }
            Ok(_) => false,
        });
        if waiting.len() == before {
            break;
        }
    }
    left.extend(waiting.iter().map(|operation| (operation.id.clone(), "a parent is missing")));
    tell_forks(&mut resolver, operations);
    (resolver, left)
}

fn why_left(error: PlaceError) -> Option<&'static str> {
    Some(match error {
        PlaceError::Create => "there is a Create already",
        PlaceError::NotAntichain => "its parents are no antichain",
        PlaceError::Parents => "1 to 8 parents are allowed, none for create",
        PlaceError::Number => "its number is not how many of its device's operations come before",
        PlaceError::ForkedParent => {
            "a parent is of a device that had signed two operations apart from each other"
        }
        PlaceError::NotIn => "its author was not in the group",
        PlaceError::Known | PlaceError::MissingParent(_) => return None,
    })
}

/// Two operations with one number are proof, whether or not they have a place.
fn tell_forks(resolver: &mut Anchored, operations: &[ReadOperation]) {
    let mut first: BTreeMap<(DeviceId, u32), OperationHash> = BTreeMap::new();
    let numbered = |operation: &&ReadOperation| {
        let creates = matches!(operation.placed.action, Action::Create(_));
        operation.refused.is_none() && (!creates || resolver.contains(&operation.placed.hash))
    };
    let signed: Vec<&ReadOperation> = operations.iter().filter(numbered).collect();
    for operation in signed {
        let (device, hash) = (operation.placed.device, operation.placed.hash);
        let Some(number) = operation.number else { continue };
        let known = resolver.numbered(&device, number);
        if *first.entry((device, number)).or_insert(known.unwrap_or(hash)) != hash {
            resolver.fork(device, number);
        }
    }
}

/// The entries that one stands on, itself included.
fn below<'a>(entries: &'a [ReadEntry], entry: &'a ReadEntry) -> Vec<&'a ReadEntry> {
    let mut found = vec![entry];
    let mut open = vec![entry];
    while let Some(next) = open.pop() {
        for other in entries.iter().filter(|other| next.parents.contains(&other.id)) {
            if !found.iter().any(|known| known.id == other.id) {
                found.push(other);
                open.push(other);
            }
        }
    }
    found
}
