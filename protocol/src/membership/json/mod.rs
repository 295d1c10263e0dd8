//! Operations and what follows from them as JSON, for people and for tests of other implementations: the resolver
//! without keys, hashes and signatures (`spec/groups.md`, "Resolving JSON").

mod error;
mod input;
mod names;
mod output;
mod read;

use std::collections::BTreeMap;

use super::resolver::{PlaceError, Resolver};
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
fn place_all(operations: &[ReadOperation]) -> (Resolver, Left) {
    let mut resolver = Resolver::default();
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
        waiting.retain(|operation| match resolver.place(operation.placed.clone()) {
            Err(PlaceError::MissingParent(_)) => true,
            Err(PlaceError::Create) if resolver.is_empty() => true,
            Err(PlaceError::Create) => {
                left.insert(operation.id.clone(), "there is a Create already").is_some()
            }
            Err(PlaceError::NotAntichain) => {
                left.insert(operation.id.clone(), "its parents are no antichain").is_some()
            }
            Err(PlaceError::Parents) => {
                left.insert(operation.id.clone(), "1 to 8 parents are allowed, none for create").is_some()
            }
            Err(PlaceError::Known) | Ok(()) => false,
        });
        if waiting.len() == before {
            break;
        }
    }
    left.extend(waiting.iter().map(|operation| (operation.id.clone(), "a parent is missing")));
    (resolver, left)
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
