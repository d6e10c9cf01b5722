//! Is the harness itself deterministic? Two runs of one seed, in fresh processes, compared line by line.

use std::io::BufRead;

/// Where two traces part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// From 1.
    pub line: u64,
    /// The first run's line; `None`: it had ended.
    pub a: Option<String>,
    /// The second run's.
    pub b: Option<String>,
}

/// The first line in which two traces differ; `None`: they are equal, to the end. An error is one of reading.
pub fn first_difference(a: impl BufRead, b: impl BufRead) -> std::io::Result<Option<Difference>> {
    let (mut a, mut b) = (a.lines(), b.lines());
    for line in 1.. {
        let (left, right) = (a.next().transpose()?, b.next().transpose()?);
        if left.is_none() && right.is_none() {
            break;
        }
        if left != right {
            return Ok(Some(Difference { line, a: left, b: right }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(a: &str, b: &str) -> Option<Difference> {
        first_difference(a.as_bytes(), b.as_bytes()).unwrap()
    }

    #[test]
    fn equal_traces_have_no_difference() {
        assert_eq!(compare("x\ny\n", "x\ny\n"), None);
        assert_eq!(compare("", ""), None);
    }

    #[test]
    fn the_first_difference_is_named_also_at_an_early_end() {
        assert_eq!(compare("x\ny\nz\n", "x\nq\nr\n"), Some(Difference { line: 2, a: Some("y".into()), b: Some("q".into()) }));
        assert_eq!(compare("x\n", "x\ny\n"), Some(Difference { line: 2, a: None, b: Some("y".into()) }));
    }
}
