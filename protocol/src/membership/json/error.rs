/// Why the input can't be read. Its writer is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is no JSON, or not of the form; says where.
    #[error("{0}")]
    Form(String),
    /// An operation is not of the form that its kind has.
    #[error("operation {number} (\"{id}\"): {why}")]
    Operation {
        /// Its place in the list; the first is 1.
        number: usize,
        /// Its id.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// An entry is not of the form.
    #[error("entry {number} (\"{id}\"): {why}")]
    Entry {
        /// Its place in the list; the first is 1.
        number: usize,
        /// Its id.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// The answer can't be written.
    #[error("the answer can't be written: {0}")]
    Output(String),
}
