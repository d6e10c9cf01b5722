//! One direction between two nodes: how long messages take, whether it is cut, which message is delayed or lost.

use crate::rng::mix;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How long messages take. All integers: the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Shortest, ≥ 1,000 µs (madsim has no shorter timers).
    pub base_us: u64,
    /// Uniform on top of it.
    pub spread_us: u64,
    /// Scale of the tail: half the messages get up to this on top, a quarter up to twice, an eighth up to four times, …
    pub tail_us: u64,
    /// The tail ends here.
    pub tail_us_max: u64,
}

impl Latency {
    /// 1–3 ms, and a tail to 50 ms (1 message in 2,000).
    pub const LAN: Latency = Latency { base_us: 1_000, spread_us: 2_000, tail_us: 24, tail_us_max: 50_000 };
    /// Within one node: the shortest there is.
    pub const LOOPBACK: Latency = Latency { base_us: 1_000, spread_us: 0, tail_us: 0, tail_us_max: 0 };

    /// The latency that 64 random bits stand for.
    fn draw_us(&self, bits: u64) -> u64 {
        let doublings = bits.trailing_zeros().min(16);
        let tail = (self.tail_us << doublings).min(self.tail_us_max);
        let base = self.base_us.max(1_000) + ((bits >> 16) & 0xffff) * self.spread_us / 0x1_0000;
        base + ((bits >> 32) & 0xffff) * tail / 0x1_0000
    }
}

/// Tells whether a rule has found its message.
#[derive(Debug, Clone, Default)]
pub struct Touched(Arc<AtomicBool>);

impl Touched {
    /// Has it?
    pub fn yet(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Rule {
    kind: Option<u16>,
    left: u64,
    delay_ms: Option<u64>,
    touched: Touched,
}

/// What happens to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives after so many nanoseconds.
    Arrives(u64),
    /// It is lost.
    Lost,
}

/// One direction between two nodes.
#[derive(Debug)]
pub struct Link {
    key: u64,
    sent: BTreeMap<u16, u64>,
    cuts: u32,
    /// After a heal nothing arrives before this.
    opens_ns: u64,
    rules: Vec<Rule>,
}

/// Draws of a byte stream, of a connect and of a heal are counted under kinds that no frame has.
pub const STREAM: u16 = 0x7fff;
pub const CONNECT: u16 = 0x7ffe;
pub const HEAL: u16 = 0x7ffd;
pub const END: u16 = 0x7ffc;

impl Link {
    pub fn new(key: u64) -> Self {
        Link { key, sent: BTreeMap::new(), cuts: 0, opens_ns: 0, rules: Vec::new() }
    }

    pub fn is_cut(&self) -> bool {
        self.cuts > 0
    }

    /// May something that was due at `due_ns` be seen at `now_ns`?
    pub fn passes(&self, due_ns: u64, now_ns: u64) -> bool {
        self.cuts == 0 && due_ns <= now_ns && self.opens_ns <= now_ns
    }

    /// When something due at `due_ns` can be seen if nothing is cut any more.
    pub fn seen_ns(&self, due_ns: u64) -> u64 {
        due_ns.max(self.opens_ns)
    }

    pub fn cut(&mut self) {
        self.cuts += 1;
    }

    /// Takes one cut (or all) back; true if that opened the link.
    pub fn heal(&mut self, all: bool, now_ns: u64, latency: &Latency) -> bool {
        if self.cuts == 0 {
            return false;
        }
        self.cuts = if all { 0 } else { self.cuts - 1 };
        if self.cuts == 0 {
            self.opens_ns = now_ns + self.latency_ns(HEAL, latency);
        }
        self.cuts == 0
    }

    pub fn add_rule(&mut self, kind: Option<u16>, nth: u64, delay_ms: Option<u64>) -> Touched {
        let touched = Touched::default();
        self.rules.push(Rule { kind, left: nth.max(1), delay_ms, touched: touched.clone() });
        touched
    }

    pub fn clear_rules(&mut self) {
        self.rules.clear();
    }

    /// The n-th draw for this kind of message on this link.
    pub fn latency_ns(&mut self, kind: u16, latency: &Latency) -> u64 {
        let nth = self.sent.entry(kind).or_default();
        *nth += 1;
        let bits = mix(self.key ^ mix(u64::from(kind) << 48 | *nth));
        latency.draw_us(bits) * 1_000
    }

    /// What happens to a frame.
    pub fn fate(&mut self, kind: u16, latency: &Latency) -> Fate {
        let mut arrives_ns = self.latency_ns(kind, latency);
        if self.rules.is_empty() {
            return Fate::Arrives(arrives_ns);
        }
        let mut lost = false;
        self.rules.retain_mut(|rule| {
            if rule.kind.is_some_and(|wanted| wanted != kind) {
                return true;
            }
            rule.left -= 1;
            if rule.left > 0 {
                return true;
            }
            rule.touched.0.store(true, Ordering::Relaxed);
            match rule.delay_ms {
                Some(delay_ms) => arrives_ns += delay_ms * 1_000_000,
                None => lost = true,
            }
            false
        });
        if lost { Fate::Lost } else { Fate::Arrives(arrives_ns) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_a_median_of_two_ms_and_a_tail() {
        let mut link = Link::new(1);
        let mut us: Vec<u64> = (0..20_000).map(|_| link.latency_ns(0, &Latency::LAN) / 1_000).collect();
        us.sort();
        assert!(us[0] >= 1_000);
        assert!((1_900..2_300).contains(&us[10_000]), "median {}", us[10_000]);
        assert!((4_000..30_000).contains(&us[19_980]), "p99.9 {}", us[19_980]);
    }

    #[test]
    fn draws_of_one_kind_do_not_move_those_of_another() {
        let (mut a, mut b) = (Link::new(9), Link::new(9));
        b.latency_ns(1, &Latency::LAN);
        assert_eq!(a.latency_ns(0, &Latency::LAN), b.latency_ns(0, &Latency::LAN));
    }

    #[test]
    fn a_rule_finds_the_nth_frame_of_its_kind() {
        let mut link = Link::new(1);
        let touched = link.add_rule(Some(3), 2, None);
        assert!(matches!(link.fate(3, &Latency::LAN), Fate::Arrives(_)));
        assert!(matches!(link.fate(4, &Latency::LAN), Fate::Arrives(_)));
        assert!(!touched.yet());
        assert_eq!(link.fate(3, &Latency::LAN), Fate::Lost);
        assert!(touched.yet());
        assert!(matches!(link.fate(3, &Latency::LAN), Fate::Arrives(_)));
    }
}
