use super::conformance::{Backend, suite};
use super::*;

struct Memory;

impl Backend for Memory {
    type Store = MemoryStore;

    fn new() -> Self {
        Self
    }

    fn open(&mut self) -> MemoryStore {
        MemoryStore::new()
    }

    fn crash(&mut self, store: MemoryStore) -> MemoryStore {
        store
    }
}

#[test]
fn memory_conforms() {
    suite::<Memory>(256);
}
