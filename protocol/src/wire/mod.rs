//! The wire schema as generated from `protocol/proto/`, and the helpers that read it.
//!
//! These types can hold anything that protobuf can: each module above turns them into types that
//! can't hold bad values (`from_wire`) and back (`to_wire`). Signed structures travel as exact bytes
//! and are never encoded anew.

mod generated {
    #![expect(missing_docs, clippy::all, reason = "generated; the .proto files carry the comments")]
    include!(concat!(env!("OUT_DIR"), "/undertone.v1.rs"));
}

pub use generated::*;

#[cfg(test)]
mod tests;
