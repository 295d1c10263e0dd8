use super::{bytes, list, read, text};

#[test]
fn all_three_modes() {
    let vectors = read("third-party/blake3.json");
    let key = text(&vectors["key"]).as_bytes().try_into().unwrap();
    let context = text(&vectors["context_string"]);
    for case in list(&vectors["cases"]) {
        let length = usize::try_from(case["input_len"].as_u64().unwrap()).unwrap();
        let input: Vec<u8> = (0..=250).cycle().take(length).collect();
        assert_eq!(blake3::hash(&input).as_bytes()[..], bytes(&case["hash"]), "{length}");
        assert_eq!(blake3::keyed_hash(&key, &input).as_bytes()[..], bytes(&case["keyed_hash"]), "{length}");
        assert_eq!(blake3::derive_key(context, &input)[..], bytes(&case["derive_key"]), "{length}");
    }
}
