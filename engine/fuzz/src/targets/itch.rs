//! A day of ITCH 5.0, read for a stock and turned into clients' orders.

use crate::Target;
use services::flow::player;

pub const TARGET: Target = Target { name: "itch", about: "recorded order flow, NASDAQ's binary", seeds, run };

/// Type, length and what is not zero: (offset behind the type, byte).
fn message(kind: u8, length: u8, time: u8, set: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = vec![0; 2 + usize::from(length)];
    (bytes[1], bytes[2], bytes[4], bytes[12]) = (length, kind, 7, time);
    set.iter().for_each(|(at, byte)| bytes[2 + at] = *byte);
    bytes
}

fn seeds() -> Vec<Vec<u8>> {
    let stock = [(24, b'A'), (25, b' '), (26, b' '), (27, b' '), (28, b' '), (29, b' '), (30, b' '), (31, b' ')];
    let add = |kind, length, time, reference, side| message(kind, length, time, &[&stock[..], &[(18, reference), (19, side), (23, 9), (35, 200)]].concat());
    let day = [
        message(b'S', 12, 1, &[(11, b'O')]),
        add(b'A', 36, 2, 1, b'B'),
        add(b'F', 40, 3, 2, b'S'),
        message(b'E', 31, 4, &[(18, 1), (22, 2)]),
        message(b'C', 36, 5, &[(18, 2), (22, 3)]),
        message(b'X', 23, 6, &[(18, 1), (22, 1)]),
        message(b'U', 35, 7, &[(18, 1), (26, 3), (30, 5), (34, 100)]),
        message(b'P', 44, 8, &[&stock[..], &[(19, b'B'), (23, 1)]].concat()),
        message(b'D', 19, 9, &[(18, 2)]),
        message(b'R', 39, 9, &[(11, b'A')]),
    ];
    // Whole, and by pieces that end between messages.
    (1..=day.len()).map(|end| day[..end].concat()).collect()
}

fn run(input: &[u8]) -> String {
    match player::read(("day", input), None, None, 100) {
        Ok(orders) => super::lobster::checked(&orders),
        Err(error) => error.to_string(),
    }
}
