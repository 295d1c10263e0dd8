use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use proptest::prelude::*;
use prost::Message;

use super::fixtures::invitation;
use crate::ids::{Handle, Secret};
use crate::keys::*;
use crate::token::{Step, TokenGrant};
use crate::wire;

const SCHEME: &str = "undertone:invite/";

/// A whole link of any body.
fn link(body: &[u8]) -> String {
    let hash = blake3::hash(body);
    let sum = &hash.as_bytes()[..4];
    format!("{SCHEME}{}", BASE64URL_NOPAD.encode(&[body, sum].concat()))
}

fn body(link: &str) -> Vec<u8> {
    let mut bytes = BASE64URL_NOPAD.decode(link.strip_prefix(SCHEME).unwrap().as_bytes()).unwrap();
    bytes.truncate(bytes.len() - 4);
    bytes
}

#[test]
fn a_link_round_trips() {
    let text = invitation().to_string();
    assert_eq!(Invitation::parse(&text), Ok(invitation()));
    assert_eq!(link(&body(&text)), text);
}

#[test]
fn spaces_and_line_breaks_do_not_matter() {
    let text = invitation().to_string();
    let wrapped: String = text
        .chars()
        .enumerate()
        .flat_map(|(at, c)| [Some(c), (at % 40 == 39).then_some('\n')])
        .flatten()
        .collect();
    assert_eq!(Invitation::parse(&format!("  {wrapped}\r\n")), Ok(invitation()));
}

#[test]
fn a_cut_link_is_damaged() {
    let text = invitation().to_string();
    for length in SCHEME.len()..text.len() {
        assert_eq!(Invitation::parse(&text[..length]), Err(LinkError::Damaged), "cut to {length}");
    }
    for length in 0..SCHEME.len() {
        assert_eq!(
            Invitation::parse(&text[..length]),
            Err(LinkError::OtherScheme { what: "an invitation", scheme: "undertone:invite/" })
        );
    }
}

#[test]
fn a_mistyped_link_is_damaged() {
    let text = invitation().to_string();
    for at in SCHEME.len()..text.len() {
        let mut typed = text.clone().into_bytes();
        typed[at] = if typed[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(
            Invitation::parse(&String::from_utf8(typed).unwrap()),
            Err(LinkError::Damaged),
            "letter {at}"
        );
    }
    for garbage in ["=", "+", "/", "é", "A"] {
        assert_eq!(Invitation::parse(&format!("{text}{garbage}")), Err(LinkError::Damaged));
    }
}

#[test]
fn other_text_is_no_invitation() {
    for text in ["", "https://example.org", "undertone:", "undertone:invite", "invite/AAAA"] {
        assert_eq!(
            Invitation::parse(text),
            Err(LinkError::OtherScheme { what: "an invitation", scheme: "undertone:invite/" }),
            "{text}"
        );
    }
}

#[test]
fn a_whole_link_that_breaks_the_format_says_so() {
    type Change = fn(&mut wire::Invitation);
    let changes: [(&str, Change); 10] = [
        ("version", |body| body.version = 2),
        ("suite", |body| body.suite = 2),
        ("user", |body| body.user = Bytes::new()),
        ("device", |body| body.device = vec![1; 33].into()),
        ("bundle key", |body| body.bundle_key = vec![1; 31].into()),
        ("name", |body| body.name = String::new()),
        ("no relay", |body| body.relays.clear()),
        ("5 relays", |body| body.relays = vec![body.relays[0].clone(); 5]),
        ("locator", |body| body.relays[1].locator = Bytes::new()),
        ("no token", |body| body.relays[0].introduction = None),
    ];
    let whole = body(&invitation().to_string());
    for (what, change) in changes {
        let mut body = wire::Invitation::decode(whole.as_slice()).unwrap();
        change(&mut body);
        let parsed = Invitation::parse(&link(&body.encode_to_vec()));
        assert!(matches!(parsed, Err(LinkError::Malformed(_))), "{what}: {parsed:?}");
    }
    let long = link(&[0; 9_000]);
    assert!(matches!(Invitation::parse(&long), Err(LinkError::Malformed(_))));
}

#[test]
fn a_token_must_leave_room_for_the_joiner() {
    let step = |byte: u8| Step::named(Handle::new([byte; 8]));
    let mut full = TokenGrant::issue(&Secret::new([1; 32]), step(0));
    let mut invitation = invitation();
    for byte in 1..4 {
        invitation.relays[0].introduction = full.clone();
        assert!(Invitation::parse(&invitation.to_string()).is_ok());
        full = full.extend(step(byte)).unwrap();
    }
    invitation.relays[0].introduction = full;
    assert!(matches!(Invitation::parse(&invitation.to_string()), Err(LinkError::Malformed(_))));
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in ".{0,200}", base in "[A-Za-z0-9_-]{0,200}", bytes: Vec<u8>) {
        prop_assert!(Invitation::parse(&text).is_err());
        prop_assert!(Invitation::parse(&[SCHEME, &base].concat()).is_err());
        prop_assert!(Invitation::parse(&link(&bytes)).is_err());
    }

    #[test]
    fn what_is_read_is_written_the_same(edits in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let mut bytes = body(&invitation().to_string());
        let length = bytes.len();
        for (at, byte) in edits {
            bytes[at % length] = byte;
        }
        if let Ok(read) = Invitation::parse(&link(&bytes)) {
            prop_assert_eq!(Invitation::parse(&read.to_string()), Ok(read));
        }
    }
}
