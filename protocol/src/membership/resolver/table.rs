/// Rows called by their numbers, in the order in which they came. A number that no row has reads as an empty row,
/// so nothing here can panic.
#[derive(Debug, Clone, Default)]
pub(super) struct Table<T> {
    rows: Vec<T>,
    spare: T,
}

impl<T: Default> Table<T> {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn push(&mut self, row: T) -> usize {
        self.rows.push(row);
        self.rows.len() - 1
    }

    pub(super) fn get(&self, at: usize) -> &T {
        self.rows.get(at).unwrap_or(&self.spare)
    }

    /// The row of this number; rows up to it are made.
    pub(super) fn grown(&mut self, at: usize) -> &mut T {
        if self.rows.len() <= at {
            self.rows.resize_with(at + 1, T::default);
        }
        self.rows.get_mut(at).unwrap_or(&mut self.spare)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.rows.iter().enumerate()
    }
}
