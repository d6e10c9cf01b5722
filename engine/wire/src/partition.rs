//! The one partition function of log, RPC and routing: Kafka's default partitioner, `(murmur2(key) & 0x7fffffff) % n`.

use crate::ids::{AccountId, Symbol};

/// The partition of `key` among `partitions` (≥ 1).
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    assert!(partitions >= 1, "a topic has at least one partition");
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// The partition of an account: key = its decimal digits.
pub fn partition_of_account(account: AccountId, partitions: u32) -> u32 {
    partition_of(account.0.to_string().as_bytes(), partitions)
}

/// The partition of a symbol: key = its six characters.
pub fn partition_of_symbol(symbol: Symbol, partitions: u32) -> u32 {
    partition_of(&symbol.0, partitions)
}

/// Kafka's 32-bit murmur2, seed 0x9747b28c.
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h: u32 = 0x9747_b28c ^ u32::try_from(data.len()).expect("a key is short");
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes(chunk.try_into().expect("four bytes"));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kafka's own vectors, `UtilsTest.testMurmur2`, and one of a well-known client.
    #[test]
    fn murmur2_is_kafkas() {
        let vectors = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_negative_hash_still_gives_a_partition() {
        assert_eq!(partition_of(b"21", 1), 0);
        assert_eq!(partition_of(b"21", 7), (-973_932_308_i32 & 0x7fff_ffff).cast_unsigned() % 7);
    }

    #[test]
    fn keys_are_the_digits_and_the_characters() {
        assert_eq!(partition_of_account(AccountId(21), 1000), partition_of(b"21", 1000));
        assert_eq!(partition_of_symbol(Symbol(*b"foobar"), 1000), partition_of(b"foobar", 1000));
    }
}
