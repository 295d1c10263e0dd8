//! The primitives that we call, held against vectors of their makers: Wycheproof for what is old, the
//! specifications' own for what is new (`vectors/third-party/`, each file names its source).

mod blake3;
mod hpke;
mod wycheproof;

use super::{array, bytes, list, read, text};
