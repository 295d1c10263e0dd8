use rusqlite::{Connection, Row, params};
use undertone_protocol::ids::{ConversationId, Handle, UserId};
use undertone_protocol::keys::DeliveryGrant;
use undertone_protocol::membership::Written;

use super::SqliteTx;
use super::columns::{
    all, damaged, get_bytes, get_id, get_int, get_joined, get_moments, get_ms, get_packed, int, join,
    join_moments, ms, one, pack, run,
};
use crate::store::{Group, GroupsTx, Member, Standing, StoreError};

const GROUP: &str = "group";
const MEMBER: &str = "member of a group";

const SELECT_GROUP: &str = "SELECT id, name, standing, added FROM groups";
const SELECT_MEMBER: &str = "SELECT conversation, user, removed, from_seq, token, former_tokens, grants, introduced, \
     introduction_due, welcome_due, hands_history, written FROM members";

/// All that is kept of a group but entries.
const DELETE_GROUP: [&str; 10] = [
    "DELETE FROM groups WHERE id = ?",
    "DELETE FROM group_documents WHERE id = ?",
    "DELETE FROM members WHERE conversation = ?",
    "DELETE FROM frontiers WHERE conversation = ?",
    "DELETE FROM gaps WHERE conversation = ?",
    "DELETE FROM cuts WHERE conversation = ?",
    "DELETE FROM acknowledgements WHERE conversation = ?",
    "DELETE FROM acknowledged WHERE conversation = ?",
    "DELETE FROM acknowledged_at WHERE conversation = ?",
    "DELETE FROM own_receipts WHERE conversation = ?",
];

impl GroupsTx for SqliteTx<'_> {
    fn group(&self, id: &ConversationId) -> Result<Option<Group>, StoreError> {
        one(self.connection, &format!("{SELECT_GROUP} WHERE id = ?"), [id.as_bytes()], read_group)
    }

    fn groups(&self) -> Result<Vec<Group>, StoreError> {
        all(self.connection, &format!("{SELECT_GROUP} ORDER BY id"), [], read_group)
    }

    fn put_group(&mut self, group: &Group) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO groups (id, name, standing, added) VALUES (?, ?, ?, ?)";
        let standing = standing_number(group.standing);
        run(self.connection, sql, params![group.id.as_bytes(), group.name, standing, ms(group.added)])?;
        Ok(())
    }

    fn delete_group(&mut self, id: &ConversationId) -> Result<(), StoreError> {
        for sql in DELETE_GROUP {
            run(self.connection, sql, [id.as_bytes()])?;
        }
        Ok(())
    }

    fn group_document(&self, id: &ConversationId) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "SELECT document FROM group_documents WHERE id = ? ORDER BY part";
        all(self.connection, sql, [id.as_bytes()], |row| Ok(get_bytes(row, 0, GROUP)?.to_vec()))
    }

    fn put_group_document(&mut self, id: &ConversationId, document: &[u8]) -> Result<(), StoreError> {
        run(self.connection, "DELETE FROM group_documents WHERE id = ?", [id.as_bytes()])?;
        self.add_to_group_document(id, document)
    }

    fn add_to_group_document(&mut self, id: &ConversationId, part: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO group_documents (id, part, document) \
                   VALUES (?1, (SELECT count(*) FROM group_documents WHERE id = ?1), ?2)";
        run(self.connection, sql, params![id.as_bytes(), part])?;
        Ok(())
    }

    fn member(&self, group: &ConversationId, user: &UserId) -> Result<Option<Member>, StoreError> {
        let sql = format!("{SELECT_MEMBER} WHERE conversation = ? AND user = ?");
        one(self.connection, &sql, [group.as_bytes(), user.as_bytes()], read_member)
    }

    fn members(&self, group: &ConversationId) -> Result<Vec<Member>, StoreError> {
        let sql = format!("{SELECT_MEMBER} WHERE conversation = ? ORDER BY user");
        all(self.connection, &sql, [group.as_bytes()], read_member)
    }

    fn groups_of(&self, user: &UserId) -> Result<Vec<ConversationId>, StoreError> {
        let sql = "SELECT conversation FROM members WHERE user = ? ORDER BY conversation";
        all(self.connection, sql, [user.as_bytes()], |row| get_id(row, 0, MEMBER))
    }

    fn put_member(&mut self, member: &Member) -> Result<(), StoreError> {
        put_member(self.connection, member)
    }

    fn delete_member(&mut self, group: &ConversationId, user: &UserId) -> Result<(), StoreError> {
        let sql = "DELETE FROM members WHERE conversation = ? AND user = ?";
        run(self.connection, sql, [group.as_bytes(), user.as_bytes()])?;
        Ok(())
    }
}

fn put_member(connection: &Connection, member: &Member) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO members (conversation, user, removed, from_seq, token, former_tokens, grants, \
               introduced, introduction_due, welcome_due, hands_history, written) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    run(
        connection,
        sql,
        params![
            member.group.as_bytes(),
            member.user.as_bytes(),
            member.removed.map(ms),
            int(member.from_seq),
            member.token.as_bytes(),
            join(member.former_tokens.iter().map(Handle::as_bytes)),
            *pack(member.grants.iter().map(DeliveryGrant::to_wire)),
            join_moments(&member.introduced),
            member.introduction_due,
            member.welcome_due,
            member.hands_history,
            *pack(member.written.iter().map(Written::to_wire)),
        ],
    )?;
    Ok(())
}

fn read_member(row: &Row<'_>) -> Result<Member, StoreError> {
    let removed: Option<i64> = row.get(2)?;
    Ok(Member {
        group: get_id(row, 0, MEMBER)?,
        user: get_id(row, 1, MEMBER)?,
        removed: removed.map(|_| get_ms(row, 2)).transpose()?,
        from_seq: get_int(row, 3)?,
        token: get_id(row, 4, MEMBER)?,
        former_tokens: get_joined::<8, _>(row, 5, MEMBER)?,
        grants: get_packed(row, 6, MEMBER, DeliveryGrant::from_wire)?,
        introduced: get_moments(row, 7, MEMBER)?,
        introduction_due: row.get(8)?,
        welcome_due: row.get(9)?,
        hands_history: row.get(10)?,
        written: get_packed(row, 11, MEMBER, |written| Written::from_wire(&written))?,
    })
}

fn read_group(row: &Row<'_>) -> Result<Group, StoreError> {
    Ok(Group {
        id: get_id(row, 0, GROUP)?,
        name: row.get(1)?,
        standing: match row.get(2)? {
            1 => Standing::In,
            2 => Standing::Out,
            number => return Err(damaged(GROUP, format!("unknown standing {number}"))),
        },
        added: get_ms(row, 3)?,
    })
}

const fn standing_number(standing: Standing) -> i64 {
    match standing {
        Standing::In => 1,
        Standing::Out => 2,
    }
}
