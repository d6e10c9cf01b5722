//! A record as a line of text.

use broker::coordinator::group::record::{Key, Value};
use std::fmt::Write;

/// Most bytes shown of a value that is no frame.
const FOREIGN_BYTES_MAX: usize = 64;

/// Key and value: frames decoded, what the group coordinators write decoded, all else as text or in hexadecimal.
pub fn text(key: Option<&[u8]>, value: Option<&[u8]>) -> String {
    if let Some(coordinated) = coordinated(key, value) {
        return coordinated;
    }
    let key = key.map_or_else(String::new, |key| format!("key {}  ", plain(key)));
    let value = match value {
        None => "tombstone".to_owned(),
        Some(value) => match wire::frame::decode(value) {
            Ok((stamp, body)) => format!("{}{body:?}", source(&stamp)),
            Err(_) => format!("{} bytes {}", value.len(), plain(value)),
        },
    };
    format!("{key}{value}")
}

fn coordinated(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<String> {
    let key: Key = exactly(key?)?;
    let value = match value {
        Some(value) => format!("{:?}", exactly::<Value>(value)?),
        None => "tombstone".to_owned(),
    };
    Some(format!("{key:?}  {value}"))
}

/// Decoded, if nothing is left over.
fn exactly<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::take_from_bytes(bytes).ok().filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

fn source(stamp: &wire::Stamp) -> String {
    match stamp.cause {
        -1 => String::new(),
        cause => format!("cause {cause}.{} epoch {} sequence {}  ", stamp.index, stamp.epoch, stamp.sequence),
    }
}

fn plain(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(FOREIGN_BYTES_MAX)];
    let more = if shown.len() < bytes.len() { "…" } else { "" };
    match std::str::from_utf8(shown) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text}{more}"),
        _ => {
            let mut hexadecimal = String::from("0x");
            shown.iter().for_each(|byte| write!(hexadecimal, "{byte:02x}").expect("a string takes everything"));
            hexadecimal + more
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{AccountCommand, AccountId, Body, Stamp};

    #[test]
    fn frames_texts_and_other_bytes_are_told_apart() {
        let body = Body::AccountCommand(AccountCommand::QueryAccount { account: AccountId(7) });
        let frame = wire::frame::encode(&Stamp { cause: -1, ..Stamp::default() }, &body);
        assert!(text(Some(b"7"), Some(&frame)).starts_with("key 7  AccountCommand(QueryAccount"));
        assert_eq!(text(None, Some(b"plain")), "5 bytes plain");
        assert_eq!(text(None, Some(&[0, 255])), "2 bytes 0x00ff");
        assert_eq!(text(Some(b"7"), None), "key 7  tombstone");
    }
}
