//! What a checker says of its anomaly.

use crate::{Finding, Violation};

/// By whose law a history is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// What Kafka promises to every client.
    Kafka,
    /// That, and what services owe that are alone in writing their partitions.
    Ours,
}

/// One anomaly in one history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How often there could have been one.
    pub checked: u64,
    /// The first that no Kafka may show.
    pub illegal: Option<Violation>,
    /// The first that Kafka may show, and our services may not.
    pub illegal_for_us: Option<Violation>,
    /// How many were legal for both.
    pub legal: u64,
}

impl Verdict {
    /// Nothing found in so many.
    pub fn of(checked: u64) -> Verdict {
        Verdict { checked, ..Verdict::default() }
    }

    /// Keeps the first that is illegal.
    pub fn illegal(&mut self, violation: impl FnOnce() -> Violation) {
        self.illegal.get_or_insert_with(violation);
    }

    /// Keeps the first that is illegal for us.
    pub fn illegal_for_us(&mut self, violation: impl FnOnce() -> Violation) {
        self.illegal_for_us.get_or_insert_with(violation);
    }

    /// As a finding under this law.
    pub fn under(self, law: Law) -> Finding {
        let ours = self
            .illegal_for_us
            .filter(|_| law == Law::Ours)
            .map(|violation| Violation { headline: format!("legal in Kafka, not here: {}", violation.headline), ..violation });
        let remark = if self.legal == 0 { String::new() } else { format!("{} legal in Kafka", self.legal) };
        Finding { checked: self.checked, violation: self.illegal.or(ours), remark }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_illegal_for_us_only_is_no_violation_under_kafkas_law() {
        let found = Violation { headline: "a cycle".to_owned(), facts: vec!["one".to_owned()] };
        let verdict = Verdict { checked: 3, illegal_for_us: Some(found.clone()), ..Verdict::default() };
        assert_eq!(verdict.clone().under(Law::Kafka).violation, None);
        assert_eq!(verdict.under(Law::Ours).violation.map(|violation| violation.headline), Some("legal in Kafka, not here: a cycle".to_owned()));
        let verdict = Verdict { checked: 3, illegal: Some(found.clone()), ..Verdict::default() };
        assert_eq!(verdict.under(Law::Kafka).violation, Some(found));
    }
}
