use bytes::Bytes;
use ed25519_dalek::SigningKey;
use prost::Message;
use serde_json::{Value, json};

use super::super::{array, bytes, read};
use super::{case, forged, original, signed, stored};
use crate::codec::{Label, Signed, sign};
use crate::testing::hostile::altered;
use crate::testing::vectors::hex;
use crate::wire;

pub(super) fn cases() -> Vec<Value> {
    [entries(), bodies(), messages(), acknowledgements()].concat()
}

fn entries() -> Vec<Value> {
    // The third entry of its device: it has heads and a predecessor.
    let entry = &read("log.json")["entries"][3];
    let header = Signed { body: bytes(&entry["header"]).into(), signature: array(&entry["signature"]) };
    let body = bytes(&entry["body"]);
    let given = |header: &Signed, body: &[u8]| json!({ "header": hex(&header.body), "signature": hex(header.signature), "body": hex(body) });
    let device = SigningKey::from_bytes(&[11; 32]);
    let foreign = sign(Label::Entry, &SigningKey::from_bytes(&[12; 32]), header.body.clone());
    let other_label = sign(Label::KeyPackage, &device, header.body.clone());
    let mut other_body = body.clone();
    other_body[20] ^= 1;
    let mut cases = vec![
        original("entry", given(&header, &body)),
        case("entry", "signed by another device", given(&foreign, &body)),
        case("entry", "signed under another label", given(&other_label, &body)),
        case("entry", "a bit of the body is another", given(&header, &other_body)),
        case("entry", "the body is cut by a byte", given(&header, &body[..body.len() - 1])),
        case("entry", "no body", given(&header, &[])),
    ];
    type Change = fn(&mut wire::EntryHeader);
    let changes: [(&str, Change); 11] = [
        ("version 2", |header| header.version = 2),
        ("number 0", |header| header.seq = 0),
        ("number 1 with an entry before it", |header| header.seq = 1),
        ("number 3 without the entry before it", |header| header.prev = Bytes::new()),
        ("17 heads", |header| header.heads = vec![vec![1; 32].into(); 17]),
        ("a head of 31 bytes", |header| header.heads[0] = vec![1; 31].into()),
        ("33 membership heads", |header| header.membership_heads = vec![vec![1; 32].into(); 33]),
        ("a claimed time of 2^48 + 1 ms", |header| header.claimed_ms = (1 << 48) + 1),
        ("a conversation of 31 bytes", |header| header.conversation = vec![1; 31].into()),
        ("another body's hash", |header| header.body_hash = vec![1; 32].into()),
        ("no body's hash", |header| header.body_hash = Bytes::new()),
    ];
    cases.extend(changes.map(|(why, change)| {
        case("entry", why, given(&altered(Label::Entry, &device, &header, change), &body))
    }));
    cases
}

fn bodies() -> Vec<Value> {
    use wire::entry_body::Content;
    let contents = &read("log.json")["contents"];
    let given = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    let [devices, account] = ["devices", "account"].map(|name| bytes(&contents[name]["body"]));
    let changed = |good: &[u8], change: fn(&mut wire::EntryBody)| {
        let mut body = wire::EntryBody::decode(good).unwrap();
        change(&mut body);
        given(&body.encode_to_vec())
    };
    let record = |change: fn(&mut wire::AccountRecord)| {
        let mut body = wire::EntryBody::decode(account.as_slice()).unwrap();
        if let Some(Content::Account(record)) = &mut body.content {
            change(record);
        }
        given(&body.encode_to_vec())
    };
    let text = |text: String| {
        let content = Some(Content::Text(wire::Text { text, ..wire::Text::default() }));
        given(&wire::EntryBody { salt: vec![8; 16].into(), content }.encode_to_vec())
    };
    let mut unknown = original("entry_body", changed(&devices, |body| body.content = None));
    unknown["why"] = json!("no content that this version knows: kept, and shown as made by a later one");
    let mut forged = original(
        "entry_body",
        changed(&devices, |body| {
            if let Some(Content::Devices(change)) = &mut body.content {
                change.device_list.as_mut().unwrap().signature = vec![0; 64].into();
            }
        }),
    );
    forged["why"] = json!("the list in it is signed by nobody: the body is taken, the list is not");
    vec![
        original("entry_body", given(&devices)),
        original("entry_body", given(&account)),
        unknown,
        forged,
        case("entry_body", "a salt of 15 bytes", changed(&devices, |body| body.salt = vec![8; 15].into())),
        case("entry_body", "no salt", changed(&devices, |body| body.salt = Bytes::new())),
        case("entry_body", "an empty text", text(String::new())),
        case(
            "entry_body",
            "a list's signature of 63 bytes",
            changed(&devices, |body| {
                if let Some(Content::Devices(change)) = &mut body.content {
                    change.device_list.as_mut().unwrap().signature = vec![0; 63].into();
                }
            }),
        ),
        case(
            "entry_body",
            "devices without a list",
            changed(&devices, |body| {
                if let Some(Content::Devices(change)) = &mut body.content {
                    change.device_list = None;
                }
            }),
        ),
        case(
            "entry_body",
            "33 revocations",
            changed(&devices, |body| {
                if let Some(Content::Devices(change)) = &mut body.content {
                    let revocation = wire::Signed { body: Bytes::new(), signature: vec![0; 64].into() };
                    change.revocations = vec![revocation; 33];
                }
            }),
        ),
        case("entry_body", "a record of no state", record(|record| record.state = 0)),
        case("entry_body", "a record of a state that there is not", record(|record| record.state = 6)),
        case(
            "entry_body",
            "blocked, without what they were before",
            record(|record| record.before_block = 0),
        ),
        case("entry_body", "accepted, with what they were before", record(|record| record.state = 4)),
        case("entry_body", "a record without a token's handle", record(|record| record.token = Bytes::new())),
        case(
            "entry_body",
            "17 records replaced",
            record(|record| record.replaces = vec![vec![1; 32].into(); 17]),
        ),
        case("entry_body", "a record without a name", record(|record| record.name = String::new())),
    ]
}

fn messages() -> Vec<Value> {
    use wire::annotation::Act;
    use wire::entry_body::Content;
    let contents = &read("log.json")["contents"];
    let good = |name: &str| bytes(&contents[name]["body"]);
    let given = |body: &[u8]| json!({ "bytes": hex(body) });
    let changed = |name: &str, change: fn(&mut Content)| {
        let mut body = wire::EntryBody::decode(good(name).as_slice()).unwrap();
        change(body.content.as_mut().unwrap());
        given(&body.encode_to_vec())
    };
    let text = |change: fn(&mut wire::Text)| {
        let mut body = wire::EntryBody::decode(good("text").as_slice()).unwrap();
        if let Some(Content::Text(text)) = &mut body.content {
            change(text);
        }
        given(&body.encode_to_vec())
    };
    let act = |act: Option<Act>| {
        let annotation = wire::Annotation { entry: vec![4; 32].into(), act };
        let content = Some(Content::Annotation(annotation));
        given(&wire::EntryBody { salt: vec![8; 16].into(), content }.encode_to_vec())
    };
    let edit = |text: wire::Text| act(Some(Act::Edit(text)));
    let plain = || wire::Text { text: "edited".to_owned(), ..wire::Text::default() };
    let mut later = original("entry_body", act(None));
    later["why"] = json!("nothing that this version knows is done to the entry: kept, and shown nowhere");
    let mut taken_back = original("entry_body", act(Some(Act::Reaction(String::new()))));
    taken_back["why"] = json!("an empty reaction: it is taken back");
    let names = ["text", "reaction", "edit", "delete", "pin", "hidden"];
    let mut cases: Vec<Value> = names.map(|name| original("entry_body", given(&good(name)))).into();
    cases.extend([later, taken_back]);
    cases.extend([
        case("entry_body", "a reply to 31 bytes", text(|text| text.reply_to = vec![1; 31].into())),
        case(
            "entry_body",
            "65 mentions",
            text(|text| {
                text.mentions = (0..65).map(|n| vec![n; 32].into()).collect();
            }),
        ),
        case("entry_body", "a mention of 31 bytes", text(|text| text.mentions[0] = vec![0; 31].into())),
        case("entry_body", "a mention twice", text(|text| text.mentions[0] = text.mentions[1].clone())),
        case("entry_body", "mentions that do not ascend", text(|text| text.mentions.reverse())),
        case(
            "entry_body",
            "an annotation of nothing",
            changed("pin", |content| {
                if let Content::Annotation(annotation) = content {
                    annotation.entry = Bytes::new();
                }
            }),
        ),
        case("entry_body", "a reaction of 65 bytes", act(Some(Act::Reaction("x".repeat(65))))),
        case("entry_body", "an edit to nothing", edit(wire::Text { text: String::new(), ..plain() })),
        case(
            "entry_body",
            "an edit that is a reply",
            edit(wire::Text { reply_to: vec![5; 32].into(), ..plain() }),
        ),
        case("entry_body", "an edit that is forwarded", edit(wire::Text { forwarded: true, ..plain() })),
        case(
            "entry_body",
            "nothing hidden",
            changed("hidden", |content| {
                if let Content::Hidden(hidden) = content {
                    hidden.entries.clear();
                }
            }),
        ),
        case(
            "entry_body",
            "65 entries hidden",
            changed("hidden", |content| {
                if let Content::Hidden(hidden) = content {
                    hidden.entries = vec![vec![4; 32].into(); 65];
                }
            }),
        ),
        case(
            "entry_body",
            "an entry of 33 bytes hidden",
            changed("hidden", |content| {
                if let Content::Hidden(hidden) = content {
                    hidden.entries[0] = vec![4; 33].into();
                }
            }),
        ),
    ]);
    cases
}

fn acknowledgements() -> Vec<Value> {
    let good = stored(&read("receipts.json")["acknowledgement"]);
    let device = SigningKey::from_bytes(&[11; 32]);
    let foreign = sign(Label::Acknowledgement, &SigningKey::from_bytes(&[12; 32]), good.body.clone());
    let mut cases = forged("acknowledgement", &good, &foreign, &json!({}));
    type Change = fn(&mut wire::Acknowledgement);
    let changes: [(&str, Change); 13] = [
        ("no delivered frontier", |body| body.delivered = None),
        ("no read frontier", |body| body.read = None),
        ("a head at number 0", |body| items(body)[1].head = vec![1; 32].into()),
        ("number 4 without its head", |body| items(body)[0].head = Bytes::new()),
        ("ranges that touch", |body| items(body)[0].ranges[1].from = 9),
        ("a range that ends before it begins", |body| items(body)[0].ranges[1].through = 9),
        ("33 ranges", |body| {
            let range = |at: u64| wire::Range { from: 10 + 2 * at, through: 10 + 2 * at };
            items(body)[0].ranges = (0..33).map(range).collect();
        }),
        ("an end for one range of two", |body| {
            items(body)[0].ends.pop();
        }),
        ("an end of 31 bytes", |body| items(body)[0].ends[1] = vec![5; 31].into()),
        ("a device twice", |body| {
            let first = items(body)[0].clone();
            items(body).push(first);
        }),
        ("a device that is not above the one that it begins after", |body| body.after = vec![1; 32].into()),
        ("an end of its devices of 31 bytes", |body| body.through = vec![9; 31].into()),
        ("a part of no devices", |body| {
            body.delivered = Some(wire::Frontier::default());
            body.read = Some(wire::Frontier::default());
            body.after = vec![9; 32].into();
            body.through = vec![9; 32].into();
        }),
    ];
    cases.extend(changes.map(|(why, change)| {
        case("acknowledgement", why, signed(&altered(Label::Acknowledgement, &device, &good, change)))
    }));
    cases
}

fn items(acknowledgement: &mut wire::Acknowledgement) -> &mut Vec<wire::FrontierItem> {
    &mut acknowledgement.delivered.as_mut().unwrap().items
}
