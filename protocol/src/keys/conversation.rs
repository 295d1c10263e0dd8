use crate::ids::{ConversationId, UserId};

const DIRECT_LABEL: &str = "undertone v1 direct conversation";

/// The direct conversation of two users (or of a user with themselves): BLAKE3-derive-key(label, the two ids, sorted).
pub fn direct_conversation(a: &UserId, b: &UserId) -> ConversationId {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut hasher = blake3::Hasher::new_derive_key(DIRECT_LABEL);
    hasher.update(low.as_bytes());
    hasher.update(high.as_bytes());
    ConversationId::new(*hasher.finalize().as_bytes())
}
