//! What an error says about the ask, and about the connection.

use redis::{ErrorKind, RedisError};
use tollgate::shared::store::StoreError;

use crate::builder::ConnectError;

/// What the server answers if it has surely not executed a command.
const REFUSALS: [&str; 19] = [
    "NOSCRIPT",
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "LOADING",
    "MASTERDOWN",
    "BUSY",
    "READONLY",
    "OOM",
    "NOPERM",
    "WRONGTYPE",
    "NOAUTH",
    "WRONGPASS",
    "MISCONF",
    "NOREPLICAS",
    "EXECABORT",
    "DENIED",
];

/// The start of the message of a server that was demoted to a replica.
const READ_ONLY: &str = "READONLY";

/// What a failed call means for the ask.
pub(super) fn of_call(error: &RedisError) -> StoreError {
    if let Some(code) = error.code() {
        let text = describe(error);
        let is_refusal = REFUSALS.contains(&code);
        return if is_refusal { StoreError::Refused(text) } else { StoreError::Unreadable(text) };
    }
    match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::Extension => {
            StoreError::Unreadable(describe(error))
        }
        // The command may have been written before the connection broke.
        _ => StoreError::Lost(describe(error)),
    }
}

/// Whether a connection on which this happened is of no more use.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    match error.code() {
        Some(code) => code == READ_ONLY || code == "NOAUTH",
        None => true,
    }
}

/// Whether an answer says that its connection is of no more use: the server was demoted to a
/// replica, or what comes is not what the server sends.
pub(super) fn is_useless(error: &StoreError) -> bool {
    match error {
        StoreError::Refused(text) => text.starts_with(READ_ONLY),
        StoreError::Unreadable(_) => true,
        _ => false,
    }
}

/// Why there is no connection.
pub(super) fn of_connect(error: &RedisError) -> ConnectError {
    let text = describe(error);
    match error.kind() {
        ErrorKind::InvalidClientConfig => ConnectError::Settings(text),
        ErrorKind::AuthenticationFailed | ErrorKind::Server(_) => ConnectError::Refused(text),
        _ if error.code().is_some() => ConnectError::Refused(text),
        _ => ConnectError::Unreachable(text),
    }
}

/// An error as text: what the server or the system said. Neither knows a password.
fn describe(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_string(),
        _ => error.to_string(),
    }
}
