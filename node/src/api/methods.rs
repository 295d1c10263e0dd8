//! Commands and answers as JSON-RPC has them.

use std::time::Duration;

use jsonrpsee::types::ErrorObjectOwned;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Map, Value};

use crate::command::{Command, CommandError, ErrorKind, Response};

/// All methods, named like the variants of [`Command`].
pub(super) const METHODS: [&str; 40] = [
    "id",
    "status",
    "invite",
    "contact_add",
    "contact_list",
    "contact_accept",
    "contact_decline",
    "contact_block",
    "contact_unblock",
    "contact_verify",
    "send",
    "reply",
    "forward",
    "react",
    "edit",
    "delete",
    "pin",
    "info",
    "retry",
    "history",
    "read",
    "group_create",
    "group_add",
    "group_remove",
    "group_role",
    "group_leave",
    "group_set",
    "group_link",
    "group_unlink",
    "group_join",
    "group_list",
    "group_show",
    "device_code",
    "device_add",
    "device_list",
    "device_revoke",
    "relay_list",
    "relay_add",
    "relay_remove",
    "relay_move",
];
/// The subscription, its notifications, and how it ends.
pub(super) const WATCH: [&str; 3] = ["watch", "event", "unwatch"];

/// The parameter that every method takes besides its own.
const WAIT: &str = "wait_ms";
/// Where it is not given.
const WAIT_DEFAULT: Duration = Duration::from_secs(5);
const ERRORS_FROM: i32 = -32_000;
const INVALID_PARAMS: i32 = -32_602;

/// A command from a request.
pub(super) fn command(
    method: &str,
    mut params: Map<String, Value>,
) -> Result<(Command, Duration), serde_json::Error> {
    let wait = match params.remove(WAIT) {
        Some(wait) => Duration::from_millis(serde_json::from_value(wait)?),
        None => WAIT_DEFAULT,
    };
    let call = serde_json::json!({ "method": method, "params": params });
    Ok((serde_json::from_value(call)?, wait))
}

/// A request from a command.
pub(super) fn request(
    command: &Command,
    wait: Duration,
) -> Result<(String, Map<String, Value>), serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Call {
        method: String,
        params: Map<String, Value>,
    }
    let Call { method, mut params } = serde_json::from_value(serde_json::to_value(command)?)?;
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    params.insert(WAIT.to_owned(), wait.into());
    Ok((method, params))
}

/// The answer to a command from its result.
pub(super) fn response(command: &Command, result: Value) -> Result<Response, serde_json::Error> {
    fn view<T: DeserializeOwned>(
        result: Value,
        wrap: fn(T) -> Response,
    ) -> Result<Response, serde_json::Error> {
        serde_json::from_value(result).map(wrap)
    }
    match command {
        Command::Id {} => view(result, Response::Id),
        Command::Status {} => view(result, Response::Status),
        Command::Invite { .. } | Command::GroupLink { .. } => view(result, Response::Invitation),
        Command::GroupJoin { .. }
        | Command::ContactAdd { .. }
        | Command::ContactAccept { .. }
        | Command::ContactDecline { .. }
        | Command::ContactBlock { .. }
        | Command::ContactUnblock { .. } => view(result, Response::Contact),
        Command::ContactList {} => view(result, Response::Contacts),
        Command::ContactVerify { .. } => view(result, Response::SafetyNumber),
        Command::Send { .. }
        | Command::Reply { .. }
        | Command::Forward { .. }
        | Command::React { .. }
        | Command::Edit { .. }
        | Command::Delete { for_me: false, .. }
        | Command::Pin { .. } => view(result, Response::Message),
        Command::Info { .. } => view(result, Response::Info),
        Command::History { .. } => view(result, Response::History),
        Command::Retry { .. } | Command::Read { .. } | Command::Delete { for_me: true, .. } => {
            view(result, Response::Count)
        }
        Command::GroupCreate { .. }
        | Command::GroupAdd { .. }
        | Command::GroupRemove { .. }
        | Command::GroupRole { .. }
        | Command::GroupLeave { .. }
        | Command::GroupSet { .. }
        | Command::GroupUnlink { .. }
        | Command::GroupShow { .. } => view(result, |group| Response::Group(Box::new(group))),
        Command::GroupList {} => view(result, Response::Groups),
        Command::DeviceCode {} => view(result, Response::DeviceCode),
        Command::DeviceAdd { .. } | Command::DeviceRevoke { .. } => view(result, Response::Device),
        Command::DeviceList {} => view(result, Response::Devices),
        Command::RelayList {}
        | Command::RelayAdd { .. }
        | Command::RelayRemove { .. }
        | Command::RelayMove { .. } => view(result, Response::Relays),
    }
}

/// The error of a command, for the wire.
pub(super) fn to_error(error: CommandError) -> ErrorObjectOwned {
    let code = ERRORS_FROM - i32::from(error.kind.code());
    ErrorObjectOwned::owned(code, error.message, None::<()>)
}

/// Parameters that make no sense.
pub(super) fn invalid_params(error: &serde_json::Error) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INVALID_PARAMS, error.to_string(), None::<()>)
}

/// The error of a command, from the wire.
pub(super) fn from_error(error: &ErrorObjectOwned) -> CommandError {
    let kind = u8::try_from(ERRORS_FROM - error.code()).ok().and_then(ErrorKind::from_code);
    let invalid = (error.code() == INVALID_PARAMS).then_some(ErrorKind::Invalid);
    CommandError::new(kind.or(invalid).unwrap_or(ErrorKind::Internal), error.message())
}

/// Named parameters; none at all are an empty object.
pub(super) fn named(text: Option<&str>) -> Result<Map<String, Value>, serde_json::Error> {
    match serde_json::from_str(text.unwrap_or("{}"))? {
        Value::Object(params) => Ok(params),
        // Some clients send an empty list where there are no parameters.
        Value::Array(list) if list.is_empty() => Ok(Map::new()),
        _ => Err(serde_json::Error::custom("parameters are an object with names")),
    }
}
