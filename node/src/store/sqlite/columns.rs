//! How values lie in columns, and what is said when one makes no sense.

use bytes::Bytes;
use prost::Message;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row};
use undertone_protocol::codec::{Malformed, Signed};
use undertone_protocol::ids::{
    ChannelHash, ConversationId, CurveKey, DeviceId, EntryId, Generation, Handle, Locator, MailboxId,
    PayloadHash, PublishId, RelayId, Secret, SessionId, UserId, WrongLength,
};
use undertone_protocol::log::SeqRange;
use undertone_protocol::receipts::Denial;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;
use zeroize::Zeroizing;

use crate::store::StoreError;

const SIGN: u64 = 1 << 63;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // A page that does not decrypt is said to be of no database.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged("page", error),
            _ => Self::Database(error.to_string()),
        }
    }
}

/// What a damaged record says.
pub(super) fn damaged(what: &'static str, why: impl ToString) -> StoreError {
    StoreError::Damaged { what, why: why.to_string() }
}

/// A 64-bit number without sign as SQLite's, which has one: less 2^63, so that the order is kept.
pub(super) const fn int(value: u64) -> i64 {
    (value ^ SIGN).cast_signed()
}

/// A moment as SQLite's number.
pub(super) const fn ms(moment: Timestamp) -> i64 {
    int(moment.as_ms())
}

/// What [`int`] stored.
pub(super) fn get_int(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    let stored: i64 = row.get(column)?;
    Ok(stored.cast_unsigned() ^ SIGN)
}

/// What [`ms`] stored.
pub(super) fn get_ms(row: &Row<'_>, column: usize) -> Result<Timestamp, StoreError> {
    get_int(row, column).map(Timestamp::from_ms)
}

/// The same, where there may be none.
pub(super) fn get_ms_opt(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>, StoreError> {
    let stored: Option<i64> = row.get(column)?;
    Ok(stored.map(|stored| Timestamp::from_ms(stored.cast_unsigned() ^ SIGN)))
}

/// A value of exactly so many bytes.
pub(super) trait Id: Sized {
    /// From a column's bytes.
    fn parse(bytes: &[u8]) -> Result<Self, WrongLength>;
}

macro_rules! ids {
    ($($name:ident),*) => {
        $(impl Id for $name {
            fn parse(bytes: &[u8]) -> Result<Self, WrongLength> {
                Self::from_slice(bytes)
            }
        })*
    };
}

ids!(
    ChannelHash,
    ConversationId,
    CurveKey,
    DeviceId,
    EntryId,
    Generation,
    Handle,
    Locator,
    MailboxId,
    PayloadHash,
    PublishId,
    RelayId,
    Secret,
    SessionId,
    UserId
);

/// An id, hash or key.
pub(super) fn get_id<T: Id>(row: &Row<'_>, column: usize, what: &'static str) -> Result<T, StoreError> {
    T::parse(blob(row, column, what)?).map_err(|error| damaged(what, error))
}

/// An id, hash or key that may be missing.
pub(super) fn get_id_opt<T: Id>(
    row: &Row<'_>,
    column: usize,
    what: &'static str,
) -> Result<Option<T>, StoreError> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => get_id(row, column, what).map(Some),
    }
}

/// A column's bytes where they lie.
pub(super) fn blob<'row>(
    row: &'row Row<'_>,
    column: usize,
    what: &'static str,
) -> Result<&'row [u8], StoreError> {
    row.get_ref(column)?.as_blob().map_err(|error| damaged(what, error))
}

/// A column's bytes, copied.
pub(super) fn get_bytes(row: &Row<'_>, column: usize, what: &'static str) -> Result<Bytes, StoreError> {
    blob(row, column, what).map(Bytes::copy_from_slice)
}

/// A column's bytes, erased when dropped.
pub(super) fn get_secret(
    row: &Row<'_>,
    column: usize,
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    Ok(Zeroizing::new(blob(row, column, what)?.to_vec()))
}

/// Ids one after the other.
pub(super) fn join<'a, const N: usize>(ids: impl IntoIterator<Item = &'a [u8; N]>) -> Vec<u8> {
    ids.into_iter().flatten().copied().collect()
}

/// What [`join`] stored, of ids of `N` bytes.
pub(super) fn get_joined<const N: usize, T: Id>(
    row: &Row<'_>,
    column: usize,
    what: &'static str,
) -> Result<Vec<T>, StoreError> {
    blob(row, column, what)?
        .chunks(N)
        .map(|bytes| T::parse(bytes).map_err(|error| damaged(what, error)))
        .collect()
}

/// Devices with a moment each.
pub(super) fn join_moments(moments: &[(DeviceId, Timestamp)]) -> Vec<u8> {
    let parts = moments
        .iter()
        .flat_map(|(device, at)| device.as_bytes().iter().copied().chain(at.as_ms().to_be_bytes()));
    parts.collect()
}

/// What [`join_moments`] stored.
pub(super) fn get_moments(
    row: &Row<'_>,
    column: usize,
    what: &'static str,
) -> Result<Vec<(DeviceId, Timestamp)>, StoreError> {
    let read = |part: &[u8]| {
        let Some((device, at)) = part.split_at_checked(DeviceId::LEN) else {
            return Err(damaged(what, "a device id is cut off"));
        };
        let device = DeviceId::from_slice(device).map_err(|error| damaged(what, error))?;
        let at = at.try_into().map_err(|error| damaged(what, error))?;
        Ok((device, Timestamp::from_ms(u64::from_be_bytes(at))))
    };
    blob(row, column, what)?.chunks(DeviceId::LEN + 8).map(read).collect()
}

/// Messages one after the other, each after its length.
pub(super) fn pack<M: Message>(messages: impl IntoIterator<Item = M>) -> Zeroizing<Vec<u8>> {
    let messages: Vec<M> = messages.into_iter().collect();
    let length =
        messages.iter().map(Message::encoded_len).map(|len| len + prost::length_delimiter_len(len)).sum();
    // Sized beforehand, so that growing leaves no copy of a secret behind.
    let mut out = Zeroizing::new(Vec::with_capacity(length));
    for message in messages {
        out.extend_from_slice(&Zeroizing::new(message.encode_length_delimited_to_vec()));
    }
    out
}

/// What [`pack`] stored.
pub(super) fn get_packed<M: Message + Default, T>(
    row: &Row<'_>,
    column: usize,
    what: &'static str,
    read: impl Fn(M) -> Result<T, Malformed>,
) -> Result<Vec<T>, StoreError> {
    let mut rest = blob(row, column, what)?;
    let mut values = Vec::new();
    while !rest.is_empty() {
        let message = M::decode_length_delimited(&mut rest).map_err(|error| damaged(what, error))?;
        values.push(read(message).map_err(|error| damaged(what, error))?);
    }
    Ok(values)
}

/// Ranges of sequence numbers.
pub(super) fn pack_ranges(ranges: &[SeqRange]) -> Zeroizing<Vec<u8>> {
    pack(ranges.iter().map(|range| wire::Range { from: range.from, through: range.through }))
}

/// What [`pack_ranges`] stored.
pub(super) fn get_ranges(
    row: &Row<'_>,
    column: usize,
    what: &'static str,
) -> Result<Vec<SeqRange>, StoreError> {
    get_packed(row, column, what, |range: wire::Range| {
        Ok(SeqRange { from: range.from, through: range.through })
    })
}

/// One protobuf message.
pub(super) fn get_message<M: Message + Default>(
    row: &Row<'_>,
    column: usize,
    what: &'static str,
) -> Result<M, StoreError> {
    M::decode(get_bytes(row, column, what)?).map_err(|error| damaged(what, error))
}

/// A signed structure, not yet checked.
pub(super) fn get_signed(row: &Row<'_>, column: usize, what: &'static str) -> Result<Signed, StoreError> {
    Signed::from_wire(get_message(row, column, what)?).map_err(|error| damaged(what, error))
}

/// A signed structure's column.
pub(super) fn signed(signed: &Signed) -> Vec<u8> {
    signed.to_wire().encode_to_vec()
}

/// A denial's number.
pub(super) const fn denial(denial: Denial) -> i64 {
    match denial {
        Denial::UnknownMailbox => 1,
        Denial::Epoch => 2,
        Denial::Proof => 3,
        Denial::Revoked => 4,
        Denial::Expired => 5,
        Denial::UsedUp => 6,
        Denial::Rights => 7,
    }
}

/// What [`denial`] numbered.
pub(super) fn denial_from(number: i64, what: &'static str) -> Result<Denial, StoreError> {
    Ok(match number {
        1 => Denial::UnknownMailbox,
        2 => Denial::Epoch,
        3 => Denial::Proof,
        4 => Denial::Revoked,
        5 => Denial::Expired,
        6 => Denial::UsedUp,
        7 => Denial::Rights,
        _ => return Err(damaged(what, format!("unknown denial {number}"))),
    })
}

/// A `LIMIT`.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The first row, if there is one.
pub(super) fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    connection.prepare_cached(sql)?.query_row(params, |row| Ok(read(row))).optional()?.transpose()
}

/// All rows.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        values.push(read(row)?);
    }
    Ok(values)
}

/// Whether there is a row.
pub(super) fn exists(connection: &Connection, sql: &str, params: impl Params) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached(sql)?.exists(params)?)
}

/// Changes rows; says how many.
pub(super) fn run(connection: &Connection, sql: &str, params: impl Params) -> Result<usize, StoreError> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}
