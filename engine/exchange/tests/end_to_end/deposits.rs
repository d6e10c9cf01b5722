//! `exchange deposit`: credited once per account and id; what is wrong is told.

use crate::process::{Place, exchange, run};
use crate::trading::balances;
use std::collections::BTreeMap;

#[tokio::test]
async fn a_deposit_is_credited_once() {
    let place = Place::new();
    let process = place.start();
    let deposit = |amount: &str| run(exchange("deposit").args(["--account", "7", "--asset", "USD", "--amount", amount, "--id", "28", "--log", &place.log]));
    let (code, said, errors) = deposit("500");
    assert_eq!((code, said.as_str()), (Some(0), "account 7: 500 minor units of USD credited, deposit 28\n"), "{errors}");
    let (code, said, errors) = deposit("900");
    assert_eq!((code, said.as_str()), (Some(0), "account 7: deposit 28 had been credited before; nothing moved\n"), "{errors}");
    assert_eq!(balances(&place.http, 7).await, BTreeMap::from([("USD".to_owned(), (500, 0))]));
    let (code, _, errors) =
        run(exchange("deposit").args(["--account", "7", "--asset", "USD", "--amount", &i64::MAX.to_string(), "--id", "29", "--log", &place.log]));
    assert_eq!(code, Some(1));
    assert!(errors.contains("deposit 29 of account 7 was refused: Overflow"), "{errors}");
    process.stop();
}

#[test]
fn a_bad_deposit_is_refused_before_anything_is_sent() {
    for (asset, amount, word) in [("USDT", "1", "An asset is three letters"), ("USD", "0", "--amount"), ("USD", "1.5", "--amount")] {
        let (code, _, errors) = run(exchange("deposit").args(["--account", "7", "--asset", asset, "--amount", amount, "--id", "1"]));
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains(word), "{errors}");
    }
}
