//! What bytes say by the schema alone, field by field: for test vectors, independent of the generated types.

use std::path::Path;
use std::sync::LazyLock;

use protox::prost_reflect::{DescriptorPool, DynamicMessage, Kind, Value as Field};
use serde_json::{Value, json};

use super::vectors::hex;
use crate::codec::Signed;

static SCHEMA: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = protox::compile(["device.proto", "relay.proto"], [folder]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
});

/// The fields of an encoded message that are there, by their names in the schema: bytes in hexadecimal, values of
/// enumerations by their names.
pub(crate) fn fields(message: &str, encoded: impl AsRef<[u8]>) -> Value {
    let descriptor = SCHEMA.get_message_by_name(&format!("undertone.v1.{message}")).unwrap();
    object(&DynamicMessage::decode(descriptor, encoded.as_ref()).unwrap())
}

/// Signed bytes, and what the message in them says.
pub(crate) fn signed(message: &str, signed: &Signed) -> Value {
    json!({
        "body": hex(&signed.body),
        "fields": fields(message, &signed.body),
        "signature": hex(signed.signature),
    })
}

fn object(message: &DynamicMessage) -> Value {
    let fields = message.fields();
    Value::Object(
        fields.map(|(field, value)| (field.name().to_owned(), value_of(&field.kind(), value))).collect(),
    )
}

fn value_of(kind: &Kind, field: &Field) -> Value {
    match (field, kind) {
        (Field::Bool(value), _) => json!(value),
        (Field::U32(value), _) => json!(value),
        (Field::U64(value), _) => json!(value),
        (Field::String(value), _) => json!(value),
        (Field::Bytes(value), _) => json!(hex(value)),
        (Field::EnumNumber(number), Kind::Enum(of)) => {
            of.get_value(*number).map_or_else(|| json!(number), |value| json!(value.name()))
        }
        (Field::Message(value), _) => object(value),
        (Field::List(values), _) => values.iter().map(|value| value_of(kind, value)).collect(),
        _ => panic!("the schema has no such field: {field:?}"),
    }
}
