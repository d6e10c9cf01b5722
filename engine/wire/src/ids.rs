//! Identifiers. None is interchangeable with another; all are plain integers or short ASCII, so that a foreign reader can decode them.

use rkyv::bytecheck::Verify;
use rkyv::rancor::{Fallible, Source, fail};
use rkyv::{Archive, Deserialize, Serialize};

/// An account: the unit of money and of partitioning of `account_commands`.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq))]
pub struct AccountId(pub u64);

/// An order, unique in the exchange: `account partition << 40 | n`, n counted by the account machine of that partition from 1.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq))]
pub struct OrderId(pub u64);

/// A symbol: six ASCII letters or digits (`^[a-zA-Z0-9]{6}$`, row K-03), upper case inside the exchange.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq), bytecheck(verify))]
pub struct Symbol(pub [u8; 6]);

/// An asset code: three ASCII letters (`BTC`, `USD`).
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq), bytecheck(verify))]
pub struct Asset(pub [u8; 3]);

/// What a client calls his order: 1 to 36 characters of `[a-zA-Z0-9-_]`. Lives in account frames only.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rkyv(derive(Debug, PartialEq, Eq), bytecheck(verify))]
pub struct ClientOrderId(pub String);

/// Sixteen bytes that an edge puts on a request and finds on its answer. Zero: nobody waits.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Correlation(pub [u8; 16]);

/// A text that is not an identifier; says the field and the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not `^[a-zA-Z0-9]{6}$`.
    #[error("A Symbol should be an alphanumeric of 6 digits")]
    Symbol,
    /// Not three ASCII letters.
    #[error("An asset is three letters")]
    Asset,
    /// Not 1 to 36 characters of `[a-zA-Z0-9-_]`.
    #[error("A client order id is 1 to 36 characters of a-z, A-Z, 0-9, '-' and '_'")]
    ClientOrderId,
}

impl OrderId {
    /// The account partition that assigned it, and its number there (from 1). Numbers of one partition rise along every symbol's commands.
    pub fn origin(self) -> (u32, u64) {
        ((self.0 >> 40) as u32, self.0 & ((1 << 40) - 1))
    }
}

impl Symbol {
    /// Parses and upper-cases.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let bytes: [u8; 6] = text.as_bytes().try_into().map_err(|_| IdError::Symbol)?;
        let upper = bytes.map(|b| b.to_ascii_uppercase());
        if is_symbol(&upper) { Ok(Symbol(upper)) } else { Err(IdError::Symbol) }
    }

    /// The six characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a symbol is ASCII")
    }

    /// The six characters as the low bytes of a word, the first lowest; the others are zero.
    #[inline(always)]
    pub fn word(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }

    /// From [`Symbol::word`], if it keeps the rule; the two high bytes do not count.
    #[inline(always)]
    pub(crate) fn of_word(word: u64) -> Option<Self> {
        let [a, b, c, d, e, f, _, _] = word.to_le_bytes();
        let bytes = [a, b, c, d, e, f];
        is_symbol(&bytes).then_some(Symbol(bytes))
    }
}

impl Asset {
    /// Parses and upper-cases.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let bytes: [u8; 3] = text.as_bytes().try_into().map_err(|_| IdError::Asset)?;
        let upper = bytes.map(|b| b.to_ascii_uppercase());
        if is_asset(&upper) { Ok(Asset(upper)) } else { Err(IdError::Asset) }
    }

    /// The three characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an asset is ASCII")
    }
}

impl ClientOrderId {
    /// Checks length and alphabet.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if is_client_order_id(text) { Ok(ClientOrderId(text.to_owned())) } else { Err(IdError::ClientOrderId) }
    }
}

/// All six at once: in each byte of a sum the high bit says that the character is at least another, and no sum of two ASCII codes carries over.
#[inline(always)]
fn is_symbol(bytes: &[u8; 6]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080;
    const EACH: u64 = 0x0101_0101_0101;
    let [a, b, c, d, e, f] = *bytes;
    let word = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    let ascii = word & !HIGH;
    let at_least = |character: u8| ascii + (0x80 - u64::from(character)) * EACH;
    let is_digit = at_least(b'0') & !at_least(b'9' + 1);
    let is_letter = at_least(b'A') & !at_least(b'Z' + 1);
    (is_digit | is_letter) & !word & HIGH == HIGH
}

fn is_asset(bytes: &[u8; 3]) -> bool {
    bytes.iter().all(u8::is_ascii_uppercase)
}

fn is_client_order_id(text: &str) -> bool {
    (1..=36).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The rules of an identifier hold in an archive too: what a frame carries can be printed.
macro_rules! verified {
    ($archived:ty, $id:ident, $error:expr, $rule:expr) => {
        // SAFETY: it is Ok only if the rule holds, and reads nothing but the field, which was checked before.
        unsafe impl<C: Fallible<Error: Source> + ?Sized> Verify<C> for $archived {
            fn verify(&self, _: &mut C) -> Result<(), C::Error> {
                let $id = &self.0;
                if !$rule {
                    fail!($error);
                }
                Ok(())
            }
        }
    };
}

verified!(ArchivedSymbol, id, IdError::Symbol, is_symbol(id));
verified!(ArchivedAsset, id, IdError::Asset, is_asset(id));
verified!(ArchivedClientOrderId, id, IdError::ClientOrderId, is_client_order_id(id));

impl std::fmt::Debug for Symbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for Symbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Debug for Asset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_six_digits_and_upper_case_letters() {
        for at in 0..6 {
            for byte in 0..=u8::MAX {
                for others in [b'0', b'9', b'A', b'Z', 0xff] {
                    let mut bytes = [others; 6];
                    bytes[at] = byte;
                    let expected = bytes.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
                    assert_eq!(is_symbol(&bytes), expected, "{bytes:?}");
                }
            }
        }
    }
}
