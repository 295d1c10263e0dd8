//! Programs that show Undertone at work: see `src/bin`.
