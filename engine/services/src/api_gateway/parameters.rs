//! Parameters of a request: in the query, the form body, or both.

use super::error::ApiError;
use std::collections::BTreeMap;

/// Most bytes of a body.
pub const BODY_BYTES_MAX: usize = 8 << 10;

/// Names and values, percent-decoded.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads both parts. A name that stands twice in one part is refused; one that stands in both has its value from the query.
    pub fn parse(query: &str, body: &str) -> Result<Self, ApiError> {
        let mut all = part(body)?;
        all.extend(part(query)?);
        Ok(Parameters(all))
    }

    /// A value, if there is one that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A value that must be there.
    pub fn mandatory(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::missing(name))
    }

    /// Milliseconds, if given; 1 to 16 digits.
    pub fn check_millis(&self, name: &str) -> Result<(), ApiError> {
        let is_good = |text: &str| text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_digit());
        match self.get(name) {
            Some(text) if !is_good(text) => Err(ApiError::illegal(name, "^[0-9]{1,16}$")),
            _ => Ok(()),
        }
    }
}

fn part(text: &str) -> Result<BTreeMap<String, String>, ApiError> {
    let mut values = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = decode(name).zip(decode(value));
        let (name, value) = decoded.ok_or_else(|| ApiError::illegal(name, "percent-encoded UTF-8"))?;
        if values.insert(name, value).is_some() {
            return Err(ApiError::duplicate_parameter());
        }
    }
    Ok(values)
}

/// `%41` and `+`; `None` for a broken escape or text that is not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'+' => b' ',
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(query: &str, body: &str, name: &str) -> Option<String> {
        Parameters::parse(query, body).expect("well-formed").get(name).map(str::to_owned)
    }

    #[test]
    fn from_query_body_or_both() {
        assert_eq!(get("a=1&b=2", "", "b").as_deref(), Some("2"));
        assert_eq!(get("", "a=1&b=2", "b").as_deref(), Some("2"));
        assert_eq!(get("a=1", "b=2", "b").as_deref(), Some("2"));
        assert_eq!(get("a=1", "a=2", "a").as_deref(), Some("1"), "the query wins");
        assert_eq!(get("a=x%40y+z@", "", "a").as_deref(), Some("x@y z@"));
        assert_eq!(get("a=&b", "", "a"), None, "empty is not sent");
        assert_eq!(get("", "", "a"), None);
    }

    #[test]
    fn what_is_broken_is_refused() {
        for (query, code) in [("a=1&a=2", -1101), ("a=%4", -1100), ("a=%zz", -1100), ("a=%ff", -1100)] {
            assert_eq!(Parameters::parse(query, "").expect_err(query).code, code, "{query}");
        }
        let parameters = Parameters::parse("timestamp=12x&big=12345678901234567", "").expect("well-formed");
        assert_eq!(parameters.check_millis("timestamp").expect_err("letters").code, -1100);
        assert_eq!(parameters.check_millis("big").expect_err("17 digits").code, -1100);
        assert_eq!(parameters.check_millis("recvWindow"), Ok(()));
    }
}
