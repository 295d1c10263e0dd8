//! Test vectors: compared byte for byte with what is stored in `vectors/`.

use std::path::Path;

use serde_json::Value;

/// Asserts that `vectors/NAME` holds exactly what was computed. With `UPDATE_VECTORS=1` in the environment
/// it is written first: look at the difference before it is committed, since it changes the protocol.
pub(crate) fn assert_stored(name: &str, computed: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    let text = serde_json::to_string_pretty(computed).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{name} is not what this build computes");
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    data_encoding::HEXLOWER.encode(bytes.as_ref())
}
