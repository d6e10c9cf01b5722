//! What was asked for cannot be: a bad file or setting of the command line.

use std::fmt;

/// Ends the process with exit code 2; names file, line or setting, field and rule.
#[derive(Debug)]
pub struct Usage(anyhow::Error);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Usage {}

/// Marks an error as the asker's own.
pub fn usage(error: impl Into<anyhow::Error>) -> anyhow::Error {
    Usage(error.into()).into()
}

/// HOST:PORT, as the command line has it; an IPv6 host stands in brackets. Whether anybody is there is not known yet.
pub fn address(text: &str) -> Result<String, String> {
    let is_host = |host: &str| !host.is_empty() && (!host.contains(':') || (host.starts_with('[') && host.ends_with(']')));
    match text.rsplit_once(':') {
        Some((host, port)) if is_host(host) && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("HOST:PORT, for example 127.0.0.1:8080".to_owned()),
    }
}

/// Some of them, joined by commas.
pub fn addresses(text: &str) -> Result<String, String> {
    text.split(',').try_for_each(|one| address(one.trim()).map(drop)).map(|()| text.to_owned()).map_err(|_| "HOST:PORT, joined by commas".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{address, addresses};

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["127.0.0.1:0", "localhost:65535", "[::1]:80"] {
            assert_eq!(address(good).as_deref(), Ok(good));
        }
        for bad in ["", "nonsense", ":80", "host:", "host:65536", "host:http", "::1", "a:b:1"] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(addresses("a:1, b:2").is_ok() && addresses("a:1,,b:2").is_err() && addresses("a:1,b").is_err());
    }
}
