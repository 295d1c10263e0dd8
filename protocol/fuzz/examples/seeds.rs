//! Writes `seeds/`: for each target what its reader should see first, from the test vectors.

use std::fs;
use std::path::Path;

use ed25519_dalek::SigningKey;
use prost::Message;
use serde_json::Value;
use undertone_fuzz::recorded::bytes;
use undertone_fuzz::{device_id, user};
use undertone_protocol::crypto::{HeaderKey, KeyPackage, PAIRWISE_PREFIX_BYTES, PackageEnds};
use undertone_protocol::ids::{ConversationId, DeviceListHash, SessionId};
use undertone_protocol::keys::Invitation;
use undertone_protocol::wire;

fn main() {
    transport();
    identity();
    log();
    frames();
    federation();
    crypto();
    ratchets();
    channel_steps();
    membership();
}

fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn seed(target: &str, name: &str, content: impl AsRef<[u8]>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), content).unwrap();
}

fn seeds<'a>(target: &str, values: impl IntoIterator<Item = &'a Value>) {
    for (number, value) in values.into_iter().enumerate() {
        seed(target, &number.to_string(), bytes(value));
    }
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn identity() {
    let vectors = vectors("identity.json");
    seeds("certificate", [&vectors["certificate"]["body"]]);
    seeds("device_list", list(&vectors["device_lists"]).iter().map(|list| &list["signed"]["body"]));
    seeds("bundle", [&vectors["bundle"]["signed"]["body"]]);
    seeds("prekey", [&vectors["prekey"]["signed"]["body"]]);
    seeds("checkpoint", [&vectors["checkpoint"]["body"]]);
    seeds("sealed_blob", ["bundle", "prekey"].map(|blob| &vectors[blob]["sealed"]));
    seeds("introduction", ["request", "accept"].map(|kind| &vectors[kind]["body"]));
    seed("introduction", "link", bytes(&vectors["link"]["signed"]["body"]));
    seed("introduction", "member", bytes(&vectors["member"]["body"]));
    seeds("device_revoke", [&vectors["device_revoke"]["body"]]);
    seed("link", "payload", bytes(&vectors["link"]["payload"]));
    seed("link", "introduction", bytes(&vectors["link"]["signed"]["body"]));
    let code = vectors["device_code"]["text"].as_str().unwrap();
    seed("device_code", "code", code);
    let body = data_encoding::BASE64URL_NOPAD.decode(code.rsplit('/').next().unwrap().as_bytes()).unwrap();
    seed("device_code", "body", &body[..body.len() - 4]);
    let link = vectors["invitation"]["text"].as_str().unwrap();
    seed("invitation", "link", link);
    let body = data_encoding::BASE64URL_NOPAD.decode(link.rsplit('/').next().unwrap().as_bytes()).unwrap();
    seed("invitation", "body", &body[..body.len() - 4]);
    seed("invitation", "group", bytes(&vectors["group_invitation"]["body"]));
    let relays = Invitation::parse(link).unwrap().relays;
    seed("token", "grant", relays[0].introduction.to_wire().encode_to_vec());
    seed("recovery_phrase", "words", vectors["phrase"]["words"].as_str().unwrap());
}

fn log() {
    let log = vectors("log.json");
    for (number, entry) in list(&log["entries"]).iter().enumerate() {
        let [header, signature, body] =
            ["header", "signature", "body"].map(|part| bytes(&entry[part]).into());
        let sealed = wire::SealedEntry { header, signature, body };
        seed("entry", &number.to_string(), sealed.encode_to_vec());
    }
    seeds("entry_body", list(&log["entries"]).iter().map(|entry| &entry["body"]));
    for name in ["devices", "account", "operation", "text", "reaction", "edit", "delete", "pin", "hidden"] {
        seed("entry_body", name, bytes(&log["contents"][name]["body"]));
    }
    let receipts = vectors("receipts.json");
    seeds("custody_receipt", [&receipts["custody_receipt"]["body"]]);
    let acknowledgement = bytes(&receipts["acknowledgement"]["body"]);
    seed("acknowledgement", "0", &acknowledgement);
    let acknowledgement = wire::Acknowledgement::decode(&acknowledgement[..]).unwrap();
    seed("frontier", "delivered", acknowledgement.delivered.unwrap().encode_to_vec());
    seed("frontier", "read", acknowledgement.read.unwrap().encode_to_vec());
    seed("token", "recipient", bytes(&vectors("tokens.json")["recipient"]));
}

/// A step of the relay's target: a frame on a connection.
fn frame_step(conn: u8, frame: &[u8]) -> Vec<u8> {
    let length = u16::try_from(frame.len()).unwrap().to_be_bytes();
    [&[6, conn], &length[..], frame].concat()
}

fn publish_step(class: u8, mailbox: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[5, class, mailbox], &length[..], payload].concat()
}

fn frames() {
    let vectors = vectors("frames.json");
    let mut owner = Vec::new();
    let mut stranger = Vec::new();
    for (name, frame) in vectors.as_object().unwrap() {
        let frame = bytes(&frame["frame"]);
        seed("frame", name, &frame);
        owner.extend(frame_step(0, &frame));
        stranger.extend(frame_step(1, &frame));
    }
    seed("relay", "frames_of_an_owner", owner);
    seed("relay", "frames_of_a_stranger", stranger);
    let restart_time_and_taken = [4, 2, 12, 3, 0, 9];
    let publishes =
        [publish_step(0, 1, b"one"), publish_step(1, 1, b"two"), publish_step(2, 2, b"three")].concat();
    let ack = wire::Frame {
        request: 1,
        body: Some(wire::frame::Body::Ack(wire::Ack { class: 0, through: 1, ranges: Vec::new() })),
    };
    let ack = frame_step(0, &ack.encode_to_vec());
    seed("relay", "publishes", [&publishes, &ack, &restart_time_and_taken[..], &publishes].concat());
    seed("relay", "connections", [0, 2, 1, 1, 0, 1, 2, 21, 1, 0, 0, 0]);
}

fn federation() {
    let vectors = vectors("federation.json");
    seeds("relay_record", [&vectors["relay_record"]["body"]]);
    seeds("routing_key", [&vectors["routing_key"]["body"]]);
    seeds("waiting_notice", [&vectors["waiting"]["body"]]);
    seeds("dead_letter", [&vectors["dead_letter"]["body"]]);
    seeds("parcel", [&vectors["parcel"]["bytes"]]);
    seeds("parcel_route", [&vectors["route"]["bytes"]]);
    seed("forwarded", "answer", bytes(&vectors["forwarded"]["bytes"]));
    seed("forwarded", "receipt", bytes(&vectors["receipt"]["body"]));
}

fn crypto() {
    let crypto = vectors("crypto.json");
    seeds("payload", list(&crypto["channel"]["payloads"]).iter().chain([&crypto["message"]["payload"]]));
    seeds("padding", list(&crypto["padding"]).iter().map(|case| &case["padded"]));
    for (name, plaintext) in vectors("messages.json")["pairwise"].as_object().unwrap() {
        seed("pairwise", name, &bytes(&plaintext["plaintext"])[PAIRWISE_PREFIX_BYTES - 1..]);
    }
}

fn ratchets() {
    let recorded = vectors("recorded-v1/ratchets.json");
    let (olm, megolm, channel) = (&recorded["olm"], &recorded["megolm"], &recorded["channel"]);
    for (number, message) in list(&olm["to_receiver"]).iter().chain([&olm["first"]]).enumerate() {
        let kind = u8::from(!message["prekey"].as_bool().unwrap());
        seed("olm", &number.to_string(), [&[kind], &bytes(&message["ciphertext"])[..]].concat());
    }
    let messages = list(&megolm["messages"]);
    seeds("megolm", messages.iter().map(|message| &message["message"]).chain([&megolm["session_key"]]));
    for (message, index) in messages.iter().zip(0_u8..) {
        for part in ["message", "payload"] {
            seed("message", &format!("{part}_{index}"), [&[index], &bytes(&message[part])[..]].concat());
        }
    }
    for (kind, state) in
        [&olm["receiver_account"], &olm["receiver_session"], &megolm["sender_key"], &megolm["receiver"]]
            .iter()
            .enumerate()
    {
        let kind = u8::try_from(kind).unwrap();
        seed("stored_ratchets", &kind.to_string(), [&[kind], &bytes(state)[..]].concat());
    }
    let entry = &vectors("log.json")["entries"][3];
    let header = bytes(&entry["header"]);
    let length = u16::try_from(header.len()).unwrap().to_be_bytes();
    let entry = [&[4], &length[..], &header, &bytes(&entry["body"])].concat();
    seed("stored_ratchets", "4", entry);
    seed("stored_state", "inbound", bytes(&channel["inbound"]));
    seed("stored_state", "outbound", bytes(&channel["outbound"]));
    let package = KeyPackage {
        ends: PackageEnds {
            sender_user: user(1),
            sender_device: device_id(11),
            recipient_user: user(2),
            recipient_device: device_id(12),
        },
        conversation: ConversationId::new([6; 32]),
        session: SessionId::from_slice(&bytes(&megolm["session_id"])).unwrap(),
        first_index: 0,
        next_seq: 1,
        membership_heads: vec![DeviceListHash::new([8; 32])],
        session_key: bytes(&megolm["session_key"]).into(),
        header_key: HeaderKey::from_slice(&[12; 32]).unwrap(),
    };
    seed("key_package", "0", package.sign(&SigningKey::from_bytes(&[11; 32])).body);
}

/// Sizes of the pieces, and what either side says in the dialogue.
fn transport() {
    let dialogue = vectors("dialogue.json");
    for side in ["client", "relay"] {
        let frames = list(&dialogue["frames"]).iter().filter(|frame| frame["from"] == side);
        let stream: Vec<u8> = frames.flat_map(|frame| bytes(&frame["bytes"])).collect();
        seed("framing", side, [&[0, 3, 17, 254], &stream[..]].concat());
    }
    seed("framing", "too_large", [0, 0, 0, 0, 0, 4, 0, 1, 8, 1]);
    let key = "/p2p/12D3KooWRm8J3iL796zPFi2EtGGtUJn58AG67gcRzQ4FENEemvpg";
    for (name, place) in [
        ("ip4", "/ip4/192.0.2.1/tcp/4001"),
        ("ip6", "/ip6/2001:db8::1/tcp/4001"),
        ("dns", "/dns/relay.example.org/tcp/4001"),
        ("dns4", "/dns4/relay.example.org/tcp/65535"),
        ("ws", "/ip4/192.0.2.1/tcp/8001/ws"),
        ("tls_ws", "/dns4/relay.example.org/tcp/443/tls/ws"),
        ("wss", "/dns6/relay.example.org/tcp/443/wss"),
        ("quic", "/ip4/192.0.2.1/udp/4001/quic-v1"),
    ] {
        seed("address", name, place);
        seed("address", &format!("{name}_with_key"), format!("{place}{key}"));
    }
}

fn channel_steps() {
    let content = [0, 0, 3, b'a', b'b', b'c'];
    let in_order = [&content[..], &[1, 1, 3], &content, &[1, 2, 5], &content, &[1, 3]].concat();
    seed("channel", "in_order", in_order);
    let out_of_order =
        [&content.repeat(4)[..], &[1, 3, 1, 1, 1, 3, 2, 2, 128, 7, 1, 2, 4, 0, 2, 1, 1]].concat();
    seed("channel", "out_of_order", out_of_order);
    seed("channel", "full", [&content.repeat(40)[..], &[1, 20, 3], &content.repeat(20)].concat());
}

/// Operations that members write, lose, bring in another order and store; and rightly signed bytes.
fn membership() {
    let updates = vectors("membership/updates.json");
    for name in ["update", "greeting"] {
        seed("group_update", name, bytes(&updates[name]["bytes"]));
    }
    let writes = [[0, 0, 0], [0, 1, 9], [1, 2, 2], [0, 3, 15], [1, 4, 23], [0, 5, 4]].concat();
    seed("membership_document", "writes", &writes);
    let repeats = [&writes[..], &[4, 0, 1, 4, 1, 4, 4, 1, 2, 4, 0, 0]].concat();
    seed("membership_document", "repeats", &repeats);
    let stores = [&writes[..], &[5, 0, 1, 77, 3, 5, 1, 2, 5, 9]].concat();
    seed("membership_document", "stores", stores);
    let altered = [&repeats[..], &[3, 0, 0, 40, 1, 3, 1, 2, 80, 7]].concat();
    seed("membership_document", "altered", altered);
    for (number, operation) in list(&vectors("membership/changes.json")["operations"]).iter().enumerate() {
        let body = bytes(&operation["operation"]["body"]);
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        seed("membership_document", &number.to_string(), [&[2, 0][..], &length, &body].concat());
    }
}
