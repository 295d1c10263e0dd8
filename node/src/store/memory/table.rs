use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::collections::btree_map::Range;

/// An ordered map that can take back what was changed since the last commit.
#[derive(Debug, Clone)]
pub(super) struct Table<K, V> {
    rows: BTreeMap<K, V>,
    /// What stood under a key before each change, the first change first.
    undo: Vec<(K, Option<V>)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), undo: Vec::new() }
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.rows.get(key)
    }

    pub(super) fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.rows.contains_key(key)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All rows, by key.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    /// The rows from `first` on for as long as `belongs` says so, by key.
    pub(super) fn from<'a>(
        &'a self,
        first: K,
        belongs: impl Fn(&K) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a K, &'a V)> {
        self.rows.range(first..).take_while(move |(key, _)| belongs(key))
    }

    /// The rows from `first` to before `end`, by key.
    pub(super) fn before(&self, first: K, end: K) -> Range<'_, K, V> {
        // `range` panics when its bounds are the wrong way round.
        let end = end.max(first.clone());
        self.rows.range(first..end)
    }

    /// The rows from `first` through `last`, by key.
    pub(super) fn through(&self, first: K, last: K) -> Range<'_, K, V> {
        let last = last.max(first.clone());
        self.rows.range(first..=last)
    }

    /// Inserts or replaces.
    pub(super) fn put(&mut self, key: K, value: V) {
        let before = self.rows.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some(before) = self.rows.remove(key) {
            self.undo.push((key.clone(), Some(before)));
        }
    }

    /// Removes the rows that `is_old` picks; says which.
    pub(super) fn forget(&mut self, is_old: impl Fn(&K, &V) -> bool) -> Vec<K> {
        let old: Vec<K> =
            self.rows.iter().filter(|(key, value)| is_old(key, value)).map(|(key, _)| key.clone()).collect();
        for key in &old {
            self.remove(key);
        }
        old
    }

    /// Whether anything was changed since the last commit.
    pub(super) fn is_changed(&self) -> bool {
        !self.undo.is_empty()
    }

    pub(super) fn commit(&mut self) {
        self.undo.clear();
    }

    pub(super) fn rollback(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }
}

/// The rows' values.
pub(super) fn all<'a, K: 'a, V: Clone + 'a>(rows: impl Iterator<Item = (&'a K, &'a V)>) -> Vec<V> {
    rows.map(|(_, value)| value.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_gives_back_the_rows_of_the_last_commit() {
        let mut table = Table::default();
        table.put(1, "one");
        table.put(2, "two");
        table.commit();
        table.put(1, "uno");
        table.put(1, "eins");
        table.remove(&2);
        table.put(2, "due");
        table.put(3, "three");
        table.remove(&3);
        table.rollback();
        assert_eq!(table.iter().collect::<Vec<_>>(), [(&1, &"one"), (&2, &"two")]);
    }
}
