use crate::ids::UserId;

const LABEL: &[u8] = b"undertone v1 safety number";
/// Makes a search for a user id with the same digits this much dearer.
const ITERATIONS: u32 = 5_200;
const GROUPS_PER_USER: usize = 6;
const BYTES_PER_GROUP: usize = 5;

/// What two users compare to know that nobody stands between them: 60 digits in 12 groups of five,
/// separated by spaces; the same for both, 30 for each, the smaller half first.
pub fn safety_number(one: &UserId, other: &UserId) -> String {
    let mut halves = [half(one), half(other)];
    halves.sort();
    halves.join(" ")
}

/// Thirty digits: `h_0 = BLAKE3(label ‖ 0x00 ‖ user)`, `h_n = BLAKE3(h_{n-1} ‖ user)`; of the last, six times
/// five bytes as a big-endian number modulo 100,000.
fn half(user: &UserId) -> String {
    let mut hash = blake3::Hasher::new().update(LABEL).update(&[0]).update(user.as_bytes()).finalize();
    for _ in 0..ITERATIONS {
        hash = blake3::Hasher::new().update(hash.as_bytes()).update(user.as_bytes()).finalize();
    }
    let groups = hash.as_bytes().chunks_exact(BYTES_PER_GROUP).take(GROUPS_PER_USER);
    let digits = groups.map(|group| {
        let number = group.iter().fold(0u64, |number, &byte| (number << 8) | u64::from(byte));
        format!("{:05}", number % 100_000)
    });
    digits.collect::<Vec<_>>().join(" ")
}
