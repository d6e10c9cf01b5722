//! What an operation may have done, given what was told of it and what the log says in the end.

use ::log::Tp;
use std::collections::BTreeMap;

/// How an operation ended for who asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Done,
    NotDone,
    Unknown,
}

/// Values that stand or fall together, by partition, with what was told of them.
pub struct Operation {
    pub values: Vec<(Tp, String)>,
    pub told: Told,
}

/// Acknowledged: once. Refused: never. Unknown: at most once. All of an operation or nothing of it; and each writer's values in its order.
pub fn judge(operations: &[Operation], log_says: &BTreeMap<Tp, Vec<String>>) {
    let mut times: BTreeMap<(Tp, &str), u32> = BTreeMap::new();
    for (tp, values) in log_says {
        for value in values {
            *times.entry((*tp, value)).or_default() += 1;
        }
        let mut last: BTreeMap<&str, &str> = BTreeMap::new();
        for value in values {
            let (writer, number) = value.rsplit_once(' ').unwrap_or((value, ""));
            let before = last.insert(writer, number);
            assert!(before.is_none_or(|before| before < number), "{writer} in {tp:?}: order, or a second time: {before:?}, {number:?}");
        }
    }
    for operation in operations {
        let found: Vec<u32> = operation.values.iter().map(|(tp, value)| times.remove(&(*tp, value.as_str())).unwrap_or(0)).collect();
        let what = &operation.values[0].1;
        match operation.told {
            Told::Done => assert!(found.iter().all(|times| *times == 1), "{what} was acknowledged: {found:?}"),
            Told::NotDone => assert!(found.iter().all(|times| *times == 0), "{what} was refused: {found:?}"),
            Told::Unknown => assert!(found.iter().all(|times| *times <= 1 && *times == found[0]), "{what} was unknown: {found:?}"),
        }
    }
    assert!(times.is_empty(), "nobody sent these: {times:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::log::TopicId;

    fn tp(partition: u32) -> Tp {
        Tp { topic: TopicId(1), partition }
    }

    fn operation(told: Told, values: &[(u32, &str)]) -> Operation {
        Operation { values: values.iter().map(|(partition, value)| (tp(*partition), (*value).to_owned())).collect(), told }
    }

    fn log_of(values: &[&[&str]]) -> BTreeMap<Tp, Vec<String>> {
        (0..).zip(values).map(|(partition, values)| (tp(partition), values.iter().map(|value| (*value).to_owned()).collect())).collect()
    }

    #[test]
    fn an_unknown_that_happened_and_one_that_did_not_are_legal() {
        let operations = [
            operation(Told::Done, &[(0, "plain 0 000000")]),
            operation(Told::Unknown, &[(0, "plain 0 000001")]),
            operation(Told::Unknown, &[(0, "transaction 1 000000"), (1, "transaction 1 000000")]),
            operation(Told::NotDone, &[(0, "transaction 1 000001"), (1, "transaction 1 000001")]),
        ];
        judge(&operations, &log_of(&[&["plain 0 000000", "transaction 1 000000"], &["transaction 1 000000"]]));
        judge(&operations, &log_of(&[&["plain 0 000000", "plain 0 000001"], &[]]));
    }

    #[test]
    #[should_panic(expected = "was acknowledged: [0]")]
    fn a_loss_is_seen() {
        judge(&[operation(Told::Done, &[(0, "plain 0 000000")])], &log_of(&[&[]]));
    }

    #[test]
    #[should_panic(expected = "a second time")]
    fn a_duplicate_is_seen() {
        let value = "plain 0 000007";
        judge(&[operation(Told::Unknown, &[(0, value)])], &log_of(&[&[value, value]]));
    }

    #[test]
    #[should_panic(expected = "was refused: [1]")]
    fn what_was_refused_and_happened_is_seen() {
        judge(&[operation(Told::NotDone, &[(0, "plain 0 000000")])], &log_of(&[&["plain 0 000000"]]));
    }

    #[test]
    #[should_panic(expected = "was unknown: [1, 0]")]
    fn half_a_transaction_is_seen() {
        let operations = [operation(Told::Unknown, &[(0, "transaction 0 000000"), (1, "transaction 0 000000")])];
        judge(&operations, &log_of(&[&["transaction 0 000000"], &[]]));
    }

    #[test]
    #[should_panic(expected = "order")]
    fn disorder_is_seen() {
        let operations = [operation(Told::Done, &[(0, "plain 0 000000")]), operation(Told::Done, &[(0, "plain 0 000001")])];
        judge(&operations, &log_of(&[&["plain 0 000001", "plain 0 000000"]]));
    }
}
