//! Contestants take turns, so that a slow second of the machine hits all of them.

use super::Samples;

/// One of those that are compared: does its work once, and answers its figure.
pub struct Contestant<'a> {
    /// As in the table.
    pub name: String,
    /// One repetition. It excludes its own preparation from the figure, and checks what it computed.
    pub measure: Box<dyn FnMut() -> anyhow::Result<f64> + 'a>,
    /// Its turn comes in every round whose number this divides; in the others its figure is NaN.
    pub every: usize,
}

impl<'a> Contestant<'a> {
    /// A contestant.
    pub fn new(name: impl Into<String>, measure: impl FnMut() -> anyhow::Result<f64> + 'a) -> Self {
        Contestant { name: name.into(), measure: Box::new(measure), every: 1 }
    }

    /// One so slow that it would take the time of all others: in every third round.
    pub fn seldom(self) -> Self {
        Contestant { every: 3, ..self }
    }
}

/// One repetition of every contestant that is thrown away (caches, page faults, clock rates), then `repetitions` of each, every round beginning
/// with another one. Answers in the order of the contestants; repetition n of each was measured in the same round, but the samples are sorted:
/// for ratios take [`rounds`].
pub fn interleave(repetitions: usize, contestants: &mut [Contestant<'_>]) -> anyhow::Result<Vec<Samples>> {
    let rounds = rounds(repetitions, contestants)?;
    Ok((0..contestants.len()).map(|at| column(&rounds, at)).collect())
}

/// One contestant's repetitions, of those rounds in which its turn came.
pub fn column(rounds: &[Vec<f64>], at: usize) -> Samples {
    Samples::new(rounds.iter().map(|round| round[at]).filter(|figure| !figure.is_nan()).collect())
}

/// As [`interleave`], but answers round by round: `[round][contestant]`.
pub fn rounds(repetitions: usize, contestants: &mut [Contestant<'_>]) -> anyhow::Result<Vec<Vec<f64>>> {
    assert!(repetitions >= 1, "nothing would be measured");
    let count = contestants.len();
    let mut rounds = Vec::with_capacity(repetitions);
    for round in 0..=repetitions {
        let mut figures = vec![f64::NAN; count];
        for turn in 0..count {
            let at = (round + turn) % count;
            if round % contestants[at].every == 0 {
                figures[at] = (contestants[at].measure)()?;
            }
        }
        if round > 0 {
            rounds.push(figures);
        }
    }
    Ok(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn a_slow_one_comes_seldom_and_its_column_has_no_holes() {
        let mut count = 0.0;
        let slow = Contestant::new("slow", || {
            count += 1.0;
            Ok(count)
        });
        let rounds = rounds(7, &mut [slow.seldom()]).expect("nothing fails");
        assert_eq!(rounds.len(), 7);
        assert_eq!(column(&rounds, 0).values(), [2.0, 3.0], "rounds 3 and 6; round 0 does not count");
    }

    #[test]
    fn they_take_turns_and_the_first_round_does_not_count() {
        let order = RefCell::new(String::new());
        let (mut a, mut b) = (0.0, 100.0);
        let mut contestants = [
            Contestant::new("a", || {
                order.borrow_mut().push('a');
                a += 1.0;
                Ok(a)
            }),
            Contestant::new("b", || {
                order.borrow_mut().push('b');
                b += 1.0;
                Ok(b)
            }),
        ];
        let samples = interleave(2, &mut contestants).expect("nothing fails");
        drop(contestants);
        assert_eq!(order.into_inner(), "abbaab");
        assert_eq!(samples[0].values(), [2.0, 3.0]);
        assert_eq!(samples[1].values(), [102.0, 103.0]);
    }
}
