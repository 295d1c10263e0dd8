use std::collections::{BTreeMap, BTreeSet};

use undertone_protocol::ids::MailboxId;
use undertone_protocol::wire;

use super::lane::Lane;
use crate::conn::ConnId;
use crate::limits::Limits;
use crate::mailbox::{AckSpans, DurableClass};

/// Class 1 gets one slot in this many while class 0 waits too.
const SLOTS: u32 = 8;

/// One mailbox's live connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// The connection.
    pub(crate) conn: ConnId,
    class_0: Lane,
    class_1: Lane,
    slot: u32,
}

impl Session {
    /// A session that begins at these sequence numbers (class 0, class 1).
    fn new(conn: ConnId, cursors: (u64, u64), limits: &Limits) -> Self {
        Self {
            conn,
            class_0: Lane::new(DurableClass::Zero, cursors.0, limits),
            class_1: Lane::new(DurableClass::One, cursors.1, limits),
            slot: 0,
        }
    }

    /// The lane of a class.
    pub(crate) fn lane(&mut self, class: DurableClass) -> &mut Lane {
        match class {
            DurableClass::Zero => &mut self.class_0,
            DurableClass::One => &mut self.class_1,
        }
    }

    /// Whose turn it is, given which classes have something that may be sent now.
    pub(crate) fn turn(&mut self, class_0: bool, class_1: bool) -> Option<DurableClass> {
        let class = match (class_0, class_1) {
            (false, false) => return None,
            (true, false) => DurableClass::Zero,
            (false, true) => DurableClass::One,
            (true, true) if self.slot + 1 == SLOTS => DurableClass::One,
            (true, true) => DurableClass::Zero,
        };
        self.slot = (self.slot + 1) % SLOTS;
        Some(class)
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_mailbox: BTreeMap<MailboxId, Session>,
    by_conn: BTreeMap<ConnId, MailboxId>,
    /// Mailboxes whose deliveries may go on.
    ready: BTreeSet<MailboxId>,
}

impl Sessions {
    /// How many mailboxes are attached.
    pub(crate) fn len(&self) -> usize {
        self.by_mailbox.len()
    }

    /// The mailbox that a connection is attached to.
    pub(crate) fn mailbox_of(&self, conn: ConnId) -> Option<MailboxId> {
        self.by_conn.get(&conn).copied()
    }

    /// The session of a mailbox.
    pub(crate) fn get_mut(&mut self, mailbox: &MailboxId) -> Option<&mut Session> {
        self.by_mailbox.get_mut(mailbox)
    }

    /// The newest attach wins: the connection that it replaces, if that is another one. The caller has
    /// checked that `conn` is attached to no other mailbox.
    pub(crate) fn attach(
        &mut self,
        conn: ConnId,
        mailbox: MailboxId,
        cursors: (u64, u64),
        limits: &Limits,
    ) -> Option<ConnId> {
        let older = self.by_mailbox.insert(mailbox, Session::new(conn, cursors, limits));
        let older = older.map(|session| session.conn).filter(|older| *older != conn);
        if let Some(older) = older {
            self.by_conn.remove(&older);
        }
        self.by_conn.insert(conn, mailbox);
        self.ready.insert(mailbox);
        older
    }

    /// The connection is gone.
    pub(crate) fn detach(&mut self, conn: ConnId) {
        if let Some(mailbox) = self.by_conn.remove(&conn) {
            self.by_mailbox.remove(&mailbox);
            self.ready.remove(&mailbox);
        }
    }

    /// The client grants more.
    pub(crate) fn grant(&mut self, mailbox: &MailboxId, class: DurableClass, credit: &wire::Credit) {
        if let Some(session) = self.by_mailbox.get_mut(mailbox) {
            session.lane(class).grant(credit);
            self.ready.insert(*mailbox);
        }
    }

    /// The device acknowledged: what it was sent of it beyond `through`, and acknowledges for the first time.
    pub(crate) fn acknowledged(&mut self, mailbox: &MailboxId, spans: &AckSpans) -> Vec<u64> {
        let Some(session) = self.by_mailbox.get_mut(mailbox) else { return Vec::new() };
        self.ready.insert(*mailbox);
        session.lane(spans.class).acknowledged(spans)
    }

    /// Something was stored for the mailbox, or its deliveries were cut short.
    pub(crate) fn wake(&mut self, mailbox: &MailboxId) {
        if self.by_mailbox.contains_key(mailbox) {
            self.ready.insert(*mailbox);
        }
    }

    /// The mailboxes to deliver from now.
    pub(crate) fn take_ready(&mut self) -> BTreeSet<MailboxId> {
        std::mem::take(&mut self.ready)
    }

    /// Whether some deliveries were cut short.
    pub(crate) fn any_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}
