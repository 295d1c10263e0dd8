//! A device that has real keys and cheats: what its honest machine wants to say is altered, and signed anew, before it is
//! sealed. So all that is sealed around it is right, and only its contacts' machines stand between it and them. In a group
//! it lies about the membership too ([`super::forged`]).

mod crypto;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone_protocol::codec::{Label, pad, sign, unpad};
use undertone_protocol::crypto::{Crypto, PAIRWISE_PREFIX_BYTES};
use undertone_protocol::ids::{DeviceId, EntryId};
use undertone_protocol::limits::{ENTRIES_MAX, FRONTIER_RANGES_MAX};
use undertone_protocol::wire::{self, annotation::Act, entry_body, pairwise};

use super::faults::{below, happens, one_in};
use super::forged::{Forger, Heard};

/// Words of others that it may pass for its own.
const HEARD_MAX: usize = 32;
const YEAR_MS: u64 = 365 * 24 * 3_600_000;

/// The cryptography of such a device.
pub(super) struct HostileCrypto {
    inner: Box<dyn Crypto>,
    key: SigningKey,
    rng: ChaCha20Rng,
    /// How often it cheats, in thousandths.
    often: u32,
    /// Whether it makes two entries of one number. Its own machine falls silent when it learns of that, so not all do.
    forks: bool,
    last: Option<wire::EntryHeader>,
    /// What it said in the place of an entry; whoever makes no two of one number says the same again, and builds on it.
    said: BTreeMap<Bytes, wire::SealedEntry>,
    heard: RefCell<VecDeque<wire::SealedEntry>>,
    /// Signs what changes the group's membership.
    forger: Forger,
}

impl HostileCrypto {
    /// `seed` is that of the world: it decides what kind of cheat this is.
    pub(super) fn new(
        inner: Box<dyn Crypto>,
        key: SigningKey,
        forger: Forger,
        (seed, life): (u64, u64),
        often: u32,
    ) -> Self {
        let forks = one_in(&mut ChaCha20Rng::seed_from_u64(seed), 2);
        let rng = ChaCha20Rng::seed_from_u64(life);
        let (said, heard) = (BTreeMap::new(), RefCell::default());
        Self { inner, key, rng, often, forks, last: None, said, heard, forger }
    }

    /// What goes out in the place of an entry, padded.
    fn instead_of_entry(&mut self, padded: &[u8]) -> Option<Vec<u8>> {
        let entry = wire::SealedEntry::decode(unpad(padded).ok()?).ok()?;
        let id = id(&entry.header);
        if let Some(said) = self.said.get(&id) {
            return Some(pad(said.encode_to_vec()));
        }
        let mut header = wire::EntryHeader::decode(entry.header.clone()).ok()?;
        let before = self.last.replace(header.clone());
        let moved = !self.forks && self.builds_on_said(&mut header);
        let entry = if moved { self.signed(header.clone(), entry.body) } else { entry };
        let twisted = match happens(&mut self.rng, self.often) {
            true => self.twisted(entry.clone(), header, before),
            false => None,
        };
        let is_taken = |said: &wire::SealedEntry| said.header != entry.header && self.is_own_and_whole(said);
        let says = twisted.clone().filter(is_taken).or_else(|| moved.then(|| entry.clone()));
        if !self.forks
            && let Some(says) = says
        {
            self.said.insert(id, says);
        }
        let instead = twisted.or_else(|| moved.then_some(entry))?;
        Some(pad(instead.encode_to_vec()))
    }

    /// Nobody takes what is under another's name, or has another body than was signed.
    fn is_own_and_whole(&self, entry: &wire::SealedEntry) -> bool {
        wire::EntryHeader::decode(entry.header.clone()).is_ok_and(|header| {
            header.device[..] == self.key.verifying_key().to_bytes()
                && header.body_hash[..] == *blake3::hash(&entry.body).as_bytes()
        })
    }

    /// Puts what it said in the place of what it should have said, as parents. False where that is the same.
    fn builds_on_said(&self, header: &mut wire::EntryHeader) -> bool {
        let mut moved = false;
        for parent in header.heads.iter_mut().chain(Some(&mut header.prev)) {
            if let Some(said) = self.said.get(parent) {
                *parent = id(&said.header);
                moved = true;
            }
        }
        moved
    }

    fn twisted(
        &mut self,
        entry: wire::SealedEntry,
        mut header: wire::EntryHeader,
        before: Option<wire::EntryHeader>,
    ) -> Option<wire::SealedEntry> {
        let body = entry.body.clone();
        if self.forger.knows(&header.conversation) && one_in(&mut self.rng, 2) {
            return self.twisted_in_group(entry, header);
        }
        match self.rng.next_u32() % 8 {
            // Years back, or ahead.
            0 => header.claimed_ms = header.claimed_ms.saturating_sub(YEAR_MS * (1 + self.upto(9))),
            1 => header.claimed_ms = header.claimed_ms.saturating_add(YEAR_MS * (1 + self.upto(99))),
            2 if self.forks => {
                let header = before.filter(|before| before.conversation == header.conversation)?;
                let text = format!("the same number, another word: {}", self.upto(100));
                return Some(self.signed(header, self.text(&text)));
            }
            3 => header.seq = *[u64::MAX, 0, header.seq.saturating_add(1_000), 1 << 40].get(self.pick(4))?,
            4 => {
                let count = 1 + self.upto(15);
                header.heads = (0..count).map(|_| self.random(32)).collect();
            }
            // What somebody else wrote, as it is, or under their name.
            5 => return self.heard.borrow().back().cloned(),
            6 => {
                let heard = self.heard.borrow().back().cloned()?;
                header.device = wire::EntryHeader::decode(heard.header).ok()?.device;
                return Some(self.signed(header, self.text("under another's name")));
            }
            _ => return Some(wire::SealedEntry { body: self.random(40), ..entry }),
        }
        Some(self.signed(header, body))
    }

    /// The same where there is a membership to lie about.
    fn twisted_in_group(
        &mut self,
        entry: wire::SealedEntry,
        mut header: wire::EntryHeader,
    ) -> Option<wire::SealedEntry> {
        let heard = self.heard_in(&header.conversation);
        let content = match self.rng.next_u32() % 6 {
            0..=2 => entry_body::Content::Operation(self.forger.operation(&mut self.rng, &heard)?),
            3 => {
                header.membership_heads = self.forger.heads(&mut self.rng);
                return Some(self.signed(header, entry.body));
            }
            _ => {
                let (_, about) = heard.get(below(&mut self.rng, heard.len()))?;
                let edit = wire::Text { text: "as if it had been said".to_owned(), ..wire::Text::default() };
                let act = match self.rng.next_u32() % 4 {
                    0 => Act::Delete(wire::Empty {}),
                    1 => Act::Edit(edit),
                    2 => Act::Drop(wire::Empty {}),
                    _ => Act::Pin(true),
                };
                entry_body::Content::Annotation(wire::Annotation { entry: about.to_wire(), act: Some(act) })
            }
        };
        Some(self.signed(header, body_of(content)))
    }

    /// The last entry of each other device that was heard in a conversation, and some before.
    fn heard_in(&self, conversation: &Bytes) -> Vec<Heard> {
        let heard = self.heard.borrow();
        let entries = heard.iter().rev().filter_map(|entry| {
            let header = wire::EntryHeader::decode(entry.header.clone()).ok()?;
            let device = DeviceId::from_slice(&header.device).ok()?;
            (header.conversation == *conversation)
                .then(|| (device, EntryId::new(*blake3::hash(&entry.header).as_bytes())))
        });
        entries.collect()
    }

    /// What goes out in the place of a pairwise message.
    fn instead_of_pairwise(&mut self, plaintext: &[u8]) -> Option<Vec<u8>> {
        if !happens(&mut self.rng, self.often) {
            return None;
        }
        let (prefix, rest) = plaintext.split_at_checked(PAIRWISE_PREFIX_BYTES)?;
        let mut message = wire::Pairwise::decode(rest).ok()?;
        match message.body.as_mut()? {
            pairwise::Body::Acknowledgement(signed) => *signed = self.boast(&signed.body)?,
            pairwise::Body::KeyPackage(signed) => *signed = self.bad_key(&signed.body)?,
            pairwise::Body::Entries(entries) => {
                let first = entries.entries.first().cloned()?;
                let header = wire::EntryHeader::decode(first.header.clone()).ok()?;
                if self.forks && self.forger.knows(&header.conversation) && one_in(&mut self.rng, 2) {
                    // To this one alone.
                    let text = format!("another word for you: {}", self.upto(1_000));
                    entries.entries = vec![self.signed(header, self.text(&text))];
                } else {
                    entries.entries = (0..ENTRIES_MAX * 2).map(|_| first.clone()).collect();
                }
            }
            pairwise::Body::Entry(entry) => entry.body = self.random(60),
            pairwise::Body::DeviceList(list) => list.body = self.random(200),
            pairwise::Body::Group(update) => {
                let heard = self.heard_in(&update.group);
                self.forger.twist(update, &mut self.rng, &heard)?;
            }
            pairwise::Body::Nothing(_) | pairwise::Body::Retry(_) => {
                message.acknowledged_count = u64::MAX;
                message.acknowledged_channel = self.random(32);
            }
        }
        Some([prefix, &message.encode_to_vec()].concat())
    }

    /// What came without what shows its machine that it lies: in a group it shall not fall silent so soon.
    fn without_own(&self, plaintext: &[u8]) -> Option<Vec<u8>> {
        let (prefix, rest) = plaintext.split_at_checked(PAIRWISE_PREFIX_BYTES)?;
        let mut message = wire::Pairwise::decode(rest).ok()?;
        let Some(pairwise::Body::Entries(entries)) = &mut message.body else { return None };
        if !self.forger.is_in_group() {
            return None;
        }
        let own = self.key.verifying_key().to_bytes();
        entries.entries.retain(|entry| {
            let header = wire::EntryHeader::decode(entry.header.clone());
            !header.is_ok_and(|header| header.device[..] == own)
        });
        Some([prefix, &message.encode_to_vec()].concat())
    }

    /// Acknowledges what it never got.
    fn boast(&mut self, body: &Bytes) -> Option<wire::Signed> {
        let mut said = wire::Acknowledgement::decode(body.clone()).ok()?;
        said.counter = said.counter.saturating_add(self.upto(5));
        let mut frontiers = [said.delivered.take()?, said.read.take()?];
        for item in frontiers.iter_mut().flat_map(|frontier| &mut frontier.items) {
            match self.upto(4) {
                0 => {
                    item.seq = *[item.seq.saturating_add(1), 1_000, u64::MAX].get(self.pick(3))?;
                    item.head = self.random(32);
                    item.ranges.clear();
                }
                1 => {
                    let numbers = 0..FRONTIER_RANGES_MAX as u64;
                    let from = item.seq.saturating_add(2);
                    let range =
                        |number| wire::Range { from: from + 3 * number, through: from + 3 * number + 1 };
                    item.ranges = numbers.map(range).collect();
                }
                2 => item.ranges = vec![wire::Range { from: item.seq.saturating_add(2), through: u64::MAX }],
                _ => {}
            }
        }
        for _ in 0..self.upto(40) {
            let (device, head) = (self.random(32), self.random(32));
            let made_up = wire::FrontierItem {
                device,
                seq: self.upto(u64::MAX),
                head,
                ..wire::FrontierItem::default()
            };
            frontiers.iter_mut().for_each(|frontier| frontier.items.push(made_up.clone()));
        }
        let [delivered, read] = frontiers;
        (said.delivered, said.read) = (Some(delivered), Some(read));
        Some(self.sealed(Label::Acknowledgement, said.encode_to_vec()))
    }

    /// A sender key that opens nothing.
    fn bad_key(&mut self, body: &Bytes) -> Option<wire::Signed> {
        let mut package = wire::KeyPackage::decode(body.clone()).ok()?;
        if self.forger.knows(&package.conversation) && one_in(&mut self.rng, 2) {
            package.membership_heads = self.forger.heads(&mut self.rng);
            package.next_seq = *[package.next_seq, 0, 1, package.next_seq + 5].get(self.pick(4))?;
            return Some(self.sealed(Label::KeyPackage, package.encode_to_vec()));
        }
        match self.upto(6) {
            0 => package.session_key = self.random(package.session_key.len()),
            1 => package.header_key = self.random(32),
            2 => package.session = self.random(32),
            3 => package.next_seq = u64::MAX,
            4 => package.first_index = 127,
            _ => {
                let garbage = self.random(300);
                return Some(self.sealed(Label::KeyPackage, garbage.to_vec()));
            }
        }
        Some(self.sealed(Label::KeyPackage, package.encode_to_vec()))
    }

    fn signed(&self, mut header: wire::EntryHeader, body: Bytes) -> wire::SealedEntry {
        header.body_hash = Bytes::copy_from_slice(blake3::hash(&body).as_bytes());
        let signed = self.sealed(Label::Entry, header.encode_to_vec());
        wire::SealedEntry { header: signed.body, signature: signed.signature, body }
    }

    fn sealed(&self, label: Label, body: Vec<u8>) -> wire::Signed {
        sign(label, &self.key, body).to_wire()
    }

    fn text(&self, text: &str) -> Bytes {
        body_of(entry_body::Content::Text(wire::Text { text: text.to_owned(), ..wire::Text::default() }))
    }

    fn random(&mut self, length: usize) -> Bytes {
        let mut bytes = vec![0; length];
        self.rng.fill_bytes(&mut bytes);
        bytes.into()
    }

    fn pick(&mut self, of: usize) -> usize {
        below(&mut self.rng, of)
    }

    /// A number below `end`.
    fn upto(&mut self, end: u64) -> u64 {
        self.rng.next_u64() % end
    }

    fn hear(&self, padded: &[u8]) {
        let entry = unpad(padded).ok().and_then(|bytes| wire::SealedEntry::decode(bytes).ok());
        let mut heard = self.heard.borrow_mut();
        heard.extend(entry);
        let surplus = heard.len().saturating_sub(HEARD_MAX);
        heard.drain(..surplus);
    }
}

fn body_of(content: entry_body::Content) -> Bytes {
    let salt = Bytes::from_static(&[7; 16]);
    wire::EntryBody { salt, content: Some(content) }.encode_to_vec().into()
}

fn id(header: &[u8]) -> Bytes {
    Bytes::copy_from_slice(blake3::hash(header).as_bytes())
}
