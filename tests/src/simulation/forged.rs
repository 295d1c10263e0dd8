//! What a hostile member of a group signs: changes of the membership that it has no right to, that stand where they can't,
//! or of which there are too many. It knows what its own machine holds of the group, and no more.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use undertone::store::{MemoryStore, NodeStore, StoreError};
use undertone_protocol::ids::{CertificateHash, DeviceId, EntryId, Handle, OperationHash, UserId};
use undertone_protocol::keys::{Certificate, DeviceKey};
use undertone_protocol::limits::{OPERATIONS_PER_DEVICE_MAX, UPDATE_HEADS_MAX, UPDATE_WANTS_MAX};
use undertone_protocol::membership::{
    Action, Cut, CutHeads, Document, Operation, Role, SettingsChange, SignedOperation, Taken,
};
use undertone_protocol::wire;

use super::faults::{below, one_in};

/// Operations in a row that count, at most: the model of the rules is slow.
const CHAIN_MAX: usize = 12;
/// No more are added to a document that has so many.
const DOCUMENT_MAX: usize = 48;
/// Operations that wait for ever, at a time: as many as an envelope takes.
const WAITING: usize = 120;
/// More does not fit an envelope.
const UPDATE_BYTES_MAX: usize = 56 << 10;
const ROLES: [Role; 3] = [Role::Owner, Role::Admin, Role::Member];

/// What a device's store holds of its group, for its own cryptography to see.
#[derive(Debug, Clone, Default)]
pub(super) struct Insight(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    bytes: usize,
    document: Option<Document>,
}

impl Insight {
    /// Looks into the store.
    pub(super) fn look(&self, disk: &mut MemoryStore) -> Result<(), StoreError> {
        let parts = disk.transaction(|tx| {
            let mut largest = Vec::new();
            for group in tx.groups()? {
                let parts = tx.group_document(&group.id)?;
                if bytes_of(&parts) > bytes_of(&largest) {
                    largest = parts;
                }
            }
            Ok(largest)
        })?;
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes_of(&parts) != seen.bytes {
            let loaded = Document::load_parts(&parts).ok();
            *seen =
                Seen { bytes: bytes_of(&parts), document: loaded.filter(|document| !document.is_empty()) };
        }
        Ok(())
    }

    fn document(&self) -> Option<Document> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).document.clone()
    }
}

fn bytes_of(parts: &[Vec<u8>]) -> usize {
    parts.iter().map(Vec::len).sum()
}

/// An entry of the group that was heard: whose device's it is, and its id.
pub(super) type Heard = (DeviceId, EntryId);

/// A member's device that signs whatever it likes.
pub(super) struct Forger {
    key: DeviceKey,
    user: UserId,
    device: DeviceId,
    certificate: CertificateHash,
    insight: Insight,
}

impl Forger {
    pub(super) fn new(key: DeviceKey, certificate: &Certificate, insight: Insight) -> Self {
        let (user, device) = (certificate.user, certificate.device);
        Self { key, user, device, certificate: Operation::certificate_hash(certificate), insight }
    }

    /// Whether there is a group.
    pub(super) fn is_in_group(&self) -> bool {
        self.insight.document().is_some()
    }

    /// Whether a conversation is its group.
    pub(super) fn knows(&self, conversation: &[u8]) -> bool {
        self.insight.document().is_some_and(|document| document.group().as_bytes()[..] == *conversation)
    }

    /// What it says of the group beside its entries; `None`: nothing that would fit an envelope.
    pub(super) fn twist(
        &self,
        update: &mut wire::GroupUpdate,
        rng: &mut ChaCha20Rng,
        heard: &[Heard],
    ) -> Option<()> {
        let unknown = |rng: &mut ChaCha20Rng| Bytes::copy_from_slice(&random(rng));
        match rng.next_u32() % 10 {
            0 => (update.group, update.asks) = (unknown(rng), true),
            1..=3 => {
                let count = 1 + below(rng, 3);
                update.operations.extend((0..count).filter_map(|_| self.operation(rng, heard)));
            }
            4 => update.operations.extend(self.flood(rng)),
            5 => update.operations.extend(self.chain(rng)),
            6 => update.heads = (0..UPDATE_HEADS_MAX).map(|_| unknown(rng)).collect(),
            7 => {
                update.asks = true;
                update.lacks = (0..UPDATE_HEADS_MAX).map(|_| unknown(rng)).collect();
                update.wants = (0..UPDATE_WANTS_MAX).map(|_| unknown(rng)).collect();
            }
            8 => {
                // Of one operation, twice; and of its own, if it has one.
                let one = update.operations.first().cloned().unwrap_or_default();
                let others = [Some(one.clone()), self.instead(&one, rng)].into_iter().flatten();
                let fork = |other| wire::Fork { one: Some(one.clone()), other: Some(other) };
                update.forks = others.map(fork).collect();
            }
            _ => {
                for operation in &mut update.operations {
                    *operation = self.instead(operation, rng).unwrap_or_else(|| operation.clone());
                }
            }
        }
        while update.encoded_len() > UPDATE_BYTES_MAX {
            update.operations.pop()?;
        }
        Some(())
    }

    /// A change that should not be.
    pub(super) fn operation(&self, rng: &mut ChaCha20Rng, heard: &[Heard]) -> Option<wire::Signed> {
        let mut document = self.insight.document()?;
        let action = self.action(&mut document, rng, heard);
        let mut operation = self.placed(&document, action, rng);
        match rng.next_u32() % 12 {
            // In the name of somebody else.
            0 => operation.device = heard.first().map_or(self.device, |(device, _)| *device),
            1 => operation.certificate = CertificateHash::new(random(rng)),
            _ => {}
        }
        let signed = SignedOperation::issue(&self.key, operation).ok()?.signed().to_wire();
        Some(match rng.next_u32() % 12 {
            0 => wire::Signed {
                signature: Bytes::copy_from_slice(&[random(rng), random(rng)].concat()),
                ..signed
            },
            1 => wire::Signed { body: signed.body.slice(..below(rng, signed.body.len())), ..signed },
            _ => signed,
        })
    }

    /// Another change in the place of one of its own, with the same number: another one for whoever asks.
    fn instead(&self, of: &wire::Signed, rng: &mut ChaCha20Rng) -> Option<wire::Signed> {
        let mut operation = Operation::from_bytes(&of.body).ok()?;
        if operation.device != self.device || operation.group.is_none() {
            return None;
        }
        operation.action = described(rng);
        Some(SignedOperation::issue(&self.key, operation).ok()?.signed().to_wire())
    }

    /// So many changes, each on top of the one before, that count if its role lets it.
    fn chain(&self, rng: &mut ChaCha20Rng) -> Vec<wire::Signed> {
        let Some(mut document) = self.insight.document() else { return Vec::new() };
        let mut chain = Vec::new();
        for _ in 0..1 + below(rng, CHAIN_MAX) {
            if document.len() > DOCUMENT_MAX {
                break;
            }
            let Some(operation) = document.draft(&self.user, self.device, self.certificate, described(rng))
            else {
                break;
            };
            let Ok(issued) = SignedOperation::issue(&self.key, operation) else { break };
            chain.push(issued.signed().to_wire());
            if !matches!(document.take(self.device, issued.signed(), |_| None), Ok(Taken::Held(_))) {
                break;
            }
        }
        chain
    }

    /// Many changes that wait for what never comes.
    fn flood(&self, rng: &mut ChaCha20Rng) -> Vec<wire::Signed> {
        let Some(document) = self.insight.document() else { return Vec::new() };
        let waits = |rng: &mut ChaCha20Rng| {
            let parents = vec![OperationHash::new(random(rng))];
            let number = rng.next_u32() % 4_000;
            self.on(&document, parents, number, Action::InviteLink { handle: handle(rng), not_after: None })
        };
        let issued = (0..WAITING).filter_map(|_| SignedOperation::issue(&self.key, waits(rng)).ok());
        issued.map(|issued| issued.signed().to_wire()).collect()
    }

    /// Membership heads that are not what it knows: none, unknown, or from long ago.
    pub(super) fn heads(&self, rng: &mut ChaCha20Rng) -> Vec<Bytes> {
        let Some(document) = self.insight.document() else { return Vec::new() };
        let heads = match rng.next_u32() % 4 {
            0 => Vec::new(),
            1 => (0..1 + below(rng, 8)).map(|_| OperationHash::new(random(rng))).collect(),
            2 => first(&document),
            _ => any(&document, rng).into_iter().collect::<Vec<_>>(),
        };
        let mut heads: Vec<Bytes> = heads.iter().map(OperationHash::to_wire).collect();
        heads.sort();
        heads
    }

    fn action(&self, document: &mut Document, rng: &mut ChaCha20Rng, heard: &[Heard]) -> Action {
        let view = document.view();
        let members: Vec<UserId> = view.members.keys().copied().collect();
        let somebody = members.get(below(rng, members.len())).copied().unwrap_or(self.user);
        let role = ROLES.get(below(rng, ROLES.len())).copied().unwrap_or(Role::Owner);
        match rng.next_u32() % 12 {
            0 => Action::SetRole { user: self.user, role: Role::Owner },
            1 => Action::SetRole { user: somebody, role },
            2 | 3 => Action::Remove { user: somebody, cut: None },
            4 | 5 => Action::Remove { user: somebody, cut: Some(cut(document, rng, heard)) },
            6 => Action::Add { user: self.user, role: Role::Admin },
            // Nobody ever heard of them.
            7 => Action::Add { user: UserId::new(random(rng)), role },
            8 => Action::Leave { successor: Some(self.user) },
            9 => Action::Leave { successor: Some(somebody) },
            10 => Action::InviteRevoke { link: OperationHash::new(random(rng)) },
            _ => described(rng),
        }
    }

    /// Where it should stand, or nearly.
    fn placed(&self, document: &Document, action: Action, rng: &mut ChaCha20Rng) -> Operation {
        let parents = match rng.next_u32() % 10 {
            0 => vec![OperationHash::new(random(rng))],
            // As if nothing had happened since the group was made.
            1 | 2 => first(document),
            3 => any(document, rng).into_iter().collect(),
            // One stands on the other.
            4 => [document.heads(), first(document)].concat(),
            _ => match document.draft(&self.user, self.device, self.certificate, action.clone()) {
                Some(operation) => return operation,
                None => document.heads(),
            },
        };
        let is_own = |(_, made): &(OperationHash, &SignedOperation)| made.operation.device == self.device;
        let number = match one_in(rng, 6) {
            true => below(rng, OPERATIONS_PER_DEVICE_MAX),
            false => document.past_of(&parents, &[]).filter(is_own).count(),
        };
        self.on(document, parents, u32::try_from(number).unwrap_or(0), action)
    }

    fn on(
        &self,
        document: &Document,
        mut parents: Vec<OperationHash>,
        number: u32,
        action: Action,
    ) -> Operation {
        parents.sort_unstable();
        let (group, device, certificate) = (Some(document.group()), self.device, self.certificate);
        Operation { group, device, certificate, parents, number, action }
    }
}

/// A cut of whatever was heard: at what is there, far below, or beyond all.
fn cut(document: &Document, rng: &mut ChaCha20Rng, heard: &[Heard]) -> Cut {
    let mut cut = Cut::default();
    for (device, entry) in heard {
        let entry = match rng.next_u32() % 4 {
            0 => None,
            1 => Some(EntryId::new(random(rng))),
            _ => Some(*entry),
        };
        let operation = match rng.next_u32() % 4 {
            0 => Some(OperationHash::new(random(rng))),
            1 => any(document, rng),
            _ => None,
        };
        cut.devices.insert(*device, CutHeads { operation, entry });
    }
    cut
}

fn described(rng: &mut ChaCha20Rng) -> Action {
    let description = Some(format!("as the cheat says, {}", rng.next_u32() % 1_000));
    Action::Settings(SettingsChange { description, ..SettingsChange::default() })
}

/// The Create.
fn first(document: &Document) -> Vec<OperationHash> {
    document.since(&[]).take(1).map(|(hash, _)| hash).collect()
}

fn any(document: &Document, rng: &mut ChaCha20Rng) -> Option<OperationHash> {
    let all: Vec<OperationHash> = document.since(&[]).map(|(hash, _)| hash).collect();
    all.get(below(rng, all.len())).copied()
}

fn handle(rng: &mut ChaCha20Rng) -> Handle {
    Handle::new(rng.next_u64().to_le_bytes())
}

fn random(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}
