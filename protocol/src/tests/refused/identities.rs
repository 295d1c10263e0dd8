use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

use super::super::{array, bytes, read, text};
use super::{case, forged, original, signed, stored};
use crate::codec::{Label, Signed, sign};
use crate::crypto::seal_link;
use crate::ids::Secret;
use crate::testing::hostile::altered;
use crate::testing::vectors::hex;
use crate::wire;

pub(super) fn cases() -> Vec<Value> {
    let vectors = read("identity.json");
    [
        certificates(&vectors),
        device_lists(&vectors),
        revocations(&vectors),
        bundles(&vectors),
        introductions(&vectors),
        links(&vectors),
        texts(&vectors),
        blobs(&vectors),
    ]
    .concat()
}

/// The key of this seed: 1 and 2 are users, 11 to 13 devices.
fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn certificates(vectors: &Value) -> Vec<Value> {
    let good = stored(&vectors["certificate"]);
    let foreign = sign(Label::Certificate, &key(2), good.body.clone());
    let mut cases = forged("certificate", &good, &foreign, &json!({}));
    let other_label = sign(Label::DeviceList, &key(1), good.body.clone());
    cases.push(case("certificate", "signed under the label of a device list", signed(&other_label)));
    type Change = fn(&mut wire::Certificate);
    let changes: [(&str, Change); 10] = [
        ("version 2", |body| body.version = 2),
        ("no version", |body| body.version = 0),
        ("suite 2", |body| body.suite = 2),
        ("suite 257, which is 1 in a byte", |body| body.suite = 257),
        ("a device id of 31 bytes", |body| body.device = vec![1; 31].into()),
        ("an Olm key of 33 bytes", |body| body.olm_key = vec![1; 33].into()),
        ("an empty name", |body| body.name = String::new()),
        ("a name of spaces", |body| body.name = "  ".to_owned()),
        ("a name of 65 bytes", |body| body.name = "x".repeat(65)),
        ("a name that turns the direction of writing", |body| body.name = "a\u{202e}b".to_owned()),
    ];
    cases.extend(changes.map(|(why, change)| {
        case("certificate", why, signed(&altered(Label::Certificate, &key(1), &good, change)))
    }));
    // Field 15, of as many bytes as make one too many.
    let more = u16::try_from(513 - good.body.len() - 3).unwrap();
    let length = [(more & 0x7f) as u8 | 0x80, (more >> 7) as u8];
    let long = [&good.body[..], &[0x7a], &length, &vec![b'x'; usize::from(more)]].concat();
    assert_eq!(long.len(), 513);
    let why = "513 bytes, by a field that nobody knows";
    cases.push(case("certificate", why, signed(&sign(Label::Certificate, &key(1), long))));
    let twice = Bytes::from([&good.body[..], &good.body[..2]].concat());
    let why = "its version stands in it twice; the last one counts, so that is fine";
    let mut fine = original("certificate", signed(&sign(Label::Certificate, &key(1), twice)));
    fine["why"] = json!(why);
    cases.push(fine);
    cases
}

fn device_lists(vectors: &Value) -> Vec<Value> {
    let good = stored(&vectors["device_lists"][1]["signed"]);
    let mut cases =
        forged("device_list", &good, &sign(Label::DeviceList, &key(2), good.body.clone()), &json!({}));
    type Change = fn(&mut wire::DeviceList);
    let changes: [(&str, Change); 8] = [
        ("number 0", |body| body.number = 0),
        ("number 1 with a predecessor", |body| body.number = 1),
        ("number 2 without a predecessor", |body| body.prev = Bytes::new()),
        ("a predecessor's hash of 31 bytes", |body| body.prev = vec![1; 31].into()),
        ("no device", |body| body.devices.clear()),
        ("a device twice", |body| body.devices.extend(body.devices.clone())),
        ("a device without a certificate", |body| body.devices[0].certificate = None),
        ("a certificate that its user did not sign", |body| {
            let mut signature = body.devices[0].certificate.as_ref().unwrap().signature.to_vec();
            signature[0] ^= 1;
            body.devices[0].certificate.as_mut().unwrap().signature = signature.into();
        }),
    ];
    cases.extend(changes.map(|(why, change)| {
        case("device_list", why, signed(&altered(Label::DeviceList, &key(1), &good, change)))
    }));
    cases
}

fn revocations(vectors: &Value) -> Vec<Value> {
    let good = stored(&vectors["device_revoke"]);
    let mut cases =
        forged("device_revoke", &good, &sign(Label::DeviceRevoke, &key(2), good.body.clone()), &json!({}));
    type Change = fn(&mut wire::DeviceRevoke);
    let changes: [(&str, Change); 4] = [
        ("a cut at 5 without its entry", |body| body.head = Bytes::new()),
        ("a cut at 0 with an entry", |body| body.through = 0),
        ("a list's hash of 31 bytes", |body| body.device_list = vec![1; 31].into()),
        ("no conversation", |body| body.conversation = Bytes::new()),
    ];
    cases.extend(changes.map(|(why, change)| {
        case("device_revoke", why, signed(&altered(Label::DeviceRevoke, &key(1), &good, change)))
    }));
    cases
}

fn bundles(vectors: &Value) -> Vec<Value> {
    let (user, device) = (&vectors["identities"][0]["public_key"], &vectors["devices"][0]["public_key"]);
    let with = json!({ "user": user, "device": device });
    let given = |bundle: &Signed| {
        let mut given = signed(bundle);
        given["user"] = user.clone();
        given["device"] = device.clone();
        given
    };
    let good = stored(&vectors["bundle"]["signed"]);
    let mut cases = forged("bundle", &good, &sign(Label::Bundle, &key(12), good.body.clone()), &with);
    let mut of_another = given(&good);
    of_another["user"] = vectors["identities"][1]["public_key"].clone();
    cases.push(case("bundle", "another user's than the one asked for", of_another));
    let revoked = vectors["device_lists"][1]["signed"].clone();
    let revoked = altered(Label::Bundle, &key(11), &good, |body: &mut wire::Bundle| {
        body.device_list = Some(stored(&revoked).to_wire());
    });
    cases.push(case("bundle", "its device was revoked by the list in it", given(&revoked)));
    type Change = fn(&mut wire::Bundle);
    let changes: [(&str, Change); 5] = [
        ("an X-Wing key of 1,215 bytes", |body| body.xwing_key = vec![9; 1_215].into()),
        ("no fallback prekey", |body| body.fallback_prekey = Bytes::new()),
        ("9 mailboxes", |body| body.mailboxes = vec![body.mailboxes[0].clone(); 9]),
        ("a relay without an address", |body| body.mailboxes[0].relay.as_mut().unwrap().addresses.clear()),
        ("an address of 257 bytes", |body| {
            body.mailboxes[0].relay.as_mut().unwrap().addresses = vec!["x".repeat(257)];
        }),
    ];
    cases.extend(
        changes.map(|(why, change)| {
            case("bundle", why, given(&altered(Label::Bundle, &key(11), &good, change)))
        }),
    );
    let prekey = stored(&vectors["prekey"]["signed"]);
    let with = json!({ "device": device });
    cases.extend(forged("prekey", &prekey, &sign(Label::Prekey, &key(12), prekey.body.clone()), &with));
    let mut of_another = signed(&prekey);
    of_another["device"] = vectors["devices"][1]["public_key"].clone();
    cases.push(case("prekey", "another device's than the one asked for", of_another));
    let checkpoint = stored(&vectors["checkpoint"]);
    let of_another = sign(Label::Checkpoint, &key(12), checkpoint.body.clone());
    cases.extend(forged("checkpoint", &checkpoint, &of_another, &with));
    cases
}

fn introductions(vectors: &Value) -> Vec<Value> {
    let to = &vectors["request"]["to"];
    let given = |introduction: &Signed| {
        let mut given = signed(introduction);
        given["user"] = to["user"].clone();
        given["device"] = to["device"].clone();
        given
    };
    let good = stored(&vectors["request"]);
    let foreign = sign(Label::Introduction, &key(12), good.body.clone());
    let mut cases = forged("introduction", &good, &foreign, to);
    let mut passed_on = given(&good);
    passed_on["device"] = vectors["devices"][2]["public_key"].clone();
    cases.push(case("introduction", "for another device: passed on", passed_on));
    type Change = fn(&mut wire::Introduction);
    let changes: [(&str, Change); 10] = [
        ("no kind", |body| body.kind = 0),
        ("a kind that there is not", |body| body.kind = 5),
        ("a link, where none is asked for", |body| body.kind = 3),
        ("a request without invitation", |body| body.invitation = Bytes::new()),
        ("no bundle", |body| body.bundles.clear()),
        ("no mailbox", |body| body.grants.clear()),
        ("a mailbox of a device that is not listed", |body| body.grants[0].device = vec![1; 32].into()),
        ("a token without steps", |body| body.grants[0].token.as_mut().unwrap().path.clear()),
        ("a token of five steps", |body| {
            let path = &mut body.grants[0].token.as_mut().unwrap().path;
            *path = vec![path[0].clone(); 5];
        }),
        ("no profile", |body| body.profile = None),
    ];
    cases.extend(changes.map(|(why, change)| {
        case("introduction", why, given(&altered(Label::Introduction, &key(11), &good, change)))
    }));
    let member = stored(&vectors["member"]);
    let mut kind = original("introduction", given(&member));
    kind["why"] = json!("of a member, in their group");
    cases.push(kind);
    let changes: [(&str, Change); 2] = [
        ("a member who names no group", |body| body.group = Bytes::new()),
        ("a member of a group of 31 bytes", |body| body.group = vec![3; 31].into()),
    ];
    cases.extend(changes.map(|(why, change)| {
        case("introduction", why, given(&altered(Label::Introduction, &key(11), &member, change)))
    }));
    cases
}

fn links(vectors: &Value) -> Vec<Value> {
    let link = &vectors["link"];
    let secret = Secret::new(array(&link["key"]));
    let given = |payload: &[u8], device: &Value, key: &Secret, olm_key: u8| {
        json!({
            "bytes": hex(payload),
            "device": device,
            "key": hex(key.expose()),
            "olm_key": hex([olm_key; 32]),
        })
    };
    let (payload, device) = (bytes(&link["payload"]), &vectors["devices"][2]["public_key"]);
    let request = stored(&vectors["request"]).to_wire().encode_to_vec();
    let request = seal_link(&secret, request, &mut ChaCha20Rng::from_seed([6; 32])).unwrap();
    let other_device = &vectors["devices"][1]["public_key"];
    vec![
        original("link", given(&payload, device, &secret, 13)),
        case("link", "another code's key", given(&payload, device, &Secret::new([18; 32]), 13)),
        case("link", "cut by a byte", given(&payload[..payload.len() - 1], device, &secret, 13)),
        case("link", "for another device", given(&payload, other_device, &secret, 13)),
        case("link", "the device's certificate has another Olm key", given(&payload, device, &secret, 14)),
        case("link", "a request in the place of a link", given(&request, device, &secret, 13)),
    ]
}

fn texts(vectors: &Value) -> Vec<Value> {
    let words = text(&vectors["phrase"]["words"]);
    let given = |text: &str| json!({ "text": text });
    let mut cases = vec![
        original("recovery_phrase", given(words)),
        case("recovery_phrase", "23 words", given(words.strip_suffix(" art").unwrap())),
        case("recovery_phrase", "a wrong checksum", given(&words.replace("art", "zoo"))),
        case("recovery_phrase", "a word that is none", given(&words.replace("art", "undertone"))),
    ];
    for (structure, scheme) in [("invitation", "undertone:invite/"), ("device_code", "undertone:device/")] {
        let whole = text(&vectors[structure]["text"]);
        let (spaced, end) = (format!(" {}\n{}", &whole[..40], &whole[40..]), whole.len() - 1);
        let mut fine = original(structure, given(&spaced));
        fine["why"] = json!("white space anywhere in it counts for nothing");
        cases.extend([original(structure, given(whole)), fine]);
        let last = if whole.ends_with('A') { "B" } else { "A" };
        cases.push(case(structure, "cut by a character", given(&whole[..end])));
        cases.push(case(
            structure,
            "a character is another",
            given(&[&whole[..end - 4], last, &whole[end - 3..]].concat()),
        ));
        cases.push(case(structure, "padded Base64", given(&format!("{whole}="))));
        cases.push(case(structure, "another scheme", given(&whole.replace(scheme, "undertone:other/"))));
        cases.push(case(
            structure,
            "the scheme in capitals",
            given(&whole.replace(scheme, &scheme.to_uppercase())),
        ));
    }
    let changed = |name: &str, change: fn(&mut wire::Invitation)| {
        let mut body = wire::Invitation::decode(bytes(&vectors[name]["body"]).as_slice()).unwrap();
        change(&mut body);
        given(&link("undertone:invite/", body.encode_to_vec()))
    };
    let invitation = |change| changed("invitation", change);
    let to_group = |change| changed("group_invitation", change);
    cases.extend([
        case("invitation", "no relay", invitation(|body| body.relays.clear())),
        case("invitation", "5 relays", invitation(|body| body.relays = vec![body.relays[0].clone(); 5])),
        case(
            "invitation",
            "a token of four steps: none is left for the joiner",
            invitation(|body| {
                let path = &mut body.relays[0].introduction.as_mut().unwrap().path;
                *path = vec![path[0].clone(); 4];
            }),
        ),
        case("invitation", "an empty name", invitation(|body| body.name = String::new())),
        original("invitation", given(text(&vectors["group_invitation"]["text"]))),
        case("invitation", "to a group of 31 bytes", to_group(|body| body.group = vec![3; 31].into())),
        case("invitation", "to a group without a name", to_group(|body| body.group_name = String::new())),
    ]);
    let code = |change: fn(&mut wire::DeviceCode)| {
        let mut body = wire::DeviceCode::decode(bytes(&vectors["device_code"]["body"]).as_slice()).unwrap();
        change(&mut body);
        given(&link("undertone:device/", body.encode_to_vec()))
    };
    cases.extend([
        case("device_code", "no mailbox", code(|body| body.grants.clear())),
        case(
            "device_code",
            "a mailbox of another device",
            code(|body| {
                body.grants[0].device = vec![1; 32].into();
            }),
        ),
        case("device_code", "a key of 31 bytes", code(|body| body.key = vec![1; 31].into())),
    ]);
    cases
}

/// With a right checksum.
fn link(scheme: &str, mut body: Vec<u8>) -> String {
    let checksum = blake3::hash(&body).as_bytes()[..4].to_vec();
    body.extend(checksum);
    format!("{scheme}{}", BASE64URL_NOPAD.encode(&body))
}

fn blobs(vectors: &Value) -> Vec<Value> {
    let bundle = &vectors["bundle"];
    let sealed = bytes(&bundle["sealed"]);
    let given = |bytes: &[u8], locator: &Value| json!({ "bytes": hex(bytes), "key": bundle["key"], "locator": locator });
    let mut prekey = bytes(&vectors["prekey"]["sealed"]);
    let as_prekey = given(&prekey, &bundle["locator"]);
    prekey[2] = 0x10;
    vec![
        original("sealed_blob", given(&sealed, &bundle["locator"])),
        case("sealed_blob", "under another locator", given(&sealed, &json!(hex([82; 32])))),
        case("sealed_blob", "cut by a byte", given(&sealed[..sealed.len() - 1], &bundle["locator"])),
        case("sealed_blob", "a prekey where a bundle is asked for", as_prekey),
        case("sealed_blob", "a prekey that says it is a bundle", given(&prekey, &bundle["locator"])),
    ]
}
