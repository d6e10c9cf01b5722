//! Balances of one partition's accounts. Money comes in by deposits only and moves by holds; nothing here is ever negative.

use super::digest::{SetDigest, entry};
use std::collections::{BTreeMap, BTreeSet};
use wire::{AccountId, Asset, Balance, RefusalReason};

/// Most minor units of one asset that one partition credits by deposits: with at most 1,024 partitions no balance can ever outgrow an i64,
/// whoever trades with whom.
pub const SUPPLY_MAX: i64 = i64::MAX >> 10;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amounts {
    free: i64,
    locked: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    balances: BTreeMap<(AccountId, Asset), Amounts>,
    /// Sum of all deposits.
    credited: BTreeMap<Asset, i64>,
    deposits: BTreeSet<(AccountId, u64)>,
    balances_digest: SetDigest,
    deposits_digest: SetDigest,
}

impl Ledger {
    /// Credits a deposit. `Ok(false)`: it had been before, nothing moved.
    pub fn deposit(&mut self, account: AccountId, deposit_id: u64, asset: Asset, amount: i64) -> Result<bool, RefusalReason> {
        if self.deposits.contains(&(account, deposit_id)) {
            return Ok(false);
        }
        if amount < 1 {
            return Err(RefusalReason::AmountOutOfRange);
        }
        let credited = self.credited.get(&asset).copied().unwrap_or(0);
        let credited = credited.checked_add(amount).filter(|sum| *sum <= SUPPLY_MAX).ok_or(RefusalReason::Overflow)?;
        if !self.can_receive(account, asset, amount) {
            return Err(RefusalReason::Overflow);
        }
        self.receive(account, asset, amount);
        self.credited.insert(asset, credited);
        self.deposits.insert((account, deposit_id));
        self.deposits_digest.add(entry(&[account.0, deposit_id]));
        Ok(true)
    }

    /// Minor units that the account may spend.
    pub fn free(&self, account: AccountId, asset: Asset) -> i64 {
        self.amounts(account, asset).free
    }

    /// Whether `amount` more still is a number.
    pub fn can_receive(&self, account: AccountId, asset: Asset, amount: i64) -> bool {
        let Amounts { free, locked } = self.amounts(account, asset);
        amount >= 0 && free.checked_add(locked).and_then(|sum| sum.checked_add(amount)).is_some()
    }

    /// Free to locked. The caller has checked that there is enough.
    pub fn hold(&mut self, account: AccountId, asset: Asset, amount: i64) {
        self.change(account, asset, -amount, amount);
    }

    /// Locked back to free.
    pub fn give_back(&mut self, account: AccountId, asset: Asset, amount: i64) {
        self.change(account, asset, amount, -amount);
    }

    /// Locked leaves the account.
    pub fn pay(&mut self, account: AccountId, asset: Asset, amount: i64) {
        self.change(account, asset, 0, -amount);
    }

    /// Comes to the account, free. The caller has checked that it can be received.
    pub fn receive(&mut self, account: AccountId, asset: Asset, amount: i64) {
        self.change(account, asset, amount, 0);
    }

    /// Every non-zero balance of the account, by asset.
    pub fn balances(&self, account: AccountId) -> Vec<Balance> {
        let of_account = self.balances.range((account, Asset([0; 3]))..=(account, Asset([u8::MAX; 3])));
        of_account.map(|((_, asset), amounts)| Balance { asset: *asset, free: amounts.free, locked: amounts.locked }).collect()
    }

    /// Every non-zero balance of the partition.
    #[cfg(test)]
    pub fn all(&self) -> impl Iterator<Item = (AccountId, Balance)> {
        self.balances.iter().map(|((account, asset), amounts)| (*account, Balance { asset: *asset, free: amounts.free, locked: amounts.locked }))
    }

    /// Three words: balances, credited supply, deposits.
    pub fn digests(&self) -> [u64; 3] {
        let mut credited = SetDigest::default();
        for (asset, amount) in &self.credited {
            credited.add(entry(&[asset_word(*asset), amount.cast_unsigned()]));
        }
        [self.balances_digest.value(), credited.value(), self.deposits_digest.value()]
    }

    fn amounts(&self, account: AccountId, asset: Asset) -> Amounts {
        self.balances.get(&(account, asset)).copied().unwrap_or_default()
    }

    fn change(&mut self, account: AccountId, asset: Asset, free: i64, locked: i64) {
        let old = self.amounts(account, asset);
        let new = Amounts {
            free: old.free.checked_add(free).expect("the caller has checked that it fits"),
            locked: old.locked.checked_add(locked).expect("the caller has checked that it fits"),
        };
        assert!(new.free >= 0, "free balance of {asset:?} of account {} would be {}", account.0, new.free);
        assert!(new.locked >= 0, "locked balance of {asset:?} of account {} would be {}", account.0, new.locked);
        let words = |amounts: Amounts| entry(&[account.0, asset_word(asset), amounts.free.cast_unsigned(), amounts.locked.cast_unsigned()]);
        if old != Amounts::default() {
            self.balances_digest.remove(words(old));
        }
        if new == Amounts::default() {
            self.balances.remove(&(account, asset));
        } else {
            self.balances.insert((account, asset), new);
            self.balances_digest.add(words(new));
        }
    }
}

/// An asset as a word of a hash.
pub fn asset_word(asset: Asset) -> u64 {
    let [a, b, c] = asset.0;
    u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    const USD: Asset = Asset(*b"USD");
    const ANN: AccountId = AccountId(1);

    #[test]
    fn a_deposit_is_credited_once_per_account_and_id() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.deposit(ANN, 7, USD, 100), Ok(true));
        let digests = ledger.digests();
        assert_eq!(ledger.deposit(ANN, 7, USD, 100), Ok(false));
        assert_eq!(ledger.digests(), digests, "a repeat moves nothing");
        assert_eq!(ledger.deposit(AccountId(2), 7, USD, 5), Ok(true), "ids are per account");
        assert_eq!((ledger.free(ANN, USD), ledger.free(AccountId(2), USD)), (100, 5));
    }

    #[test]
    fn a_deposit_that_is_nothing_or_too_much_is_refused() {
        let mut ledger = Ledger::default();
        for amount in [0, -1, i64::MIN] {
            assert_eq!(ledger.deposit(ANN, 1, USD, amount), Err(RefusalReason::AmountOutOfRange), "{amount}");
        }
        assert_eq!(ledger.deposit(ANN, 1, USD, SUPPLY_MAX), Ok(true));
        for amount in [1, i64::MAX] {
            assert_eq!(ledger.deposit(AccountId(2), 2, USD, amount), Err(RefusalReason::Overflow), "{amount}");
        }
        assert_eq!(ledger.free(AccountId(2), USD), 0);
    }

    #[test]
    fn the_digest_forgets_what_was_undone() {
        let mut ledger = Ledger::default();
        ledger.deposit(ANN, 1, USD, 100).expect("it fits");
        let before = ledger.digests();
        ledger.hold(ANN, USD, 60);
        assert_ne!(ledger.digests(), before, "free and locked are told apart");
        ledger.give_back(ANN, USD, 60);
        assert_eq!(ledger.digests(), before);
    }

    #[test]
    #[should_panic(expected = "free balance of USD")]
    fn a_negative_balance_is_a_broken_invariant() {
        Ledger::default().hold(ANN, USD, 1);
    }
}
