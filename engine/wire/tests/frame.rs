//! Frames: golden bytes of every kind and variant, and every way in which a record is not a frame.

mod samples;

use bytes::Bytes;
use wire::frame::{HEADER_LEN, decode, encode};
use wire::{AccountCommand, AccountId, Asset, Body, ClientOrderId, FrameError, Symbol, SystemTick};

/// One frame per line in `tests/golden/KIND.hex`. A changed byte is a new frame version, never a new golden file.
#[test]
fn the_bytes_are_frozen() {
    for (name, bodies) in samples::kinds() {
        let written: String = bodies.iter().map(|body| hex(&encode(&samples::stamp(), body)) + "\n").collect();
        assert!(golden(name) == written, "tests/golden/{name}.hex is not what this build writes:\n{written}");
    }
}

#[test]
fn golden_bytes_are_read_back() {
    for (name, bodies) in samples::kinds() {
        assert_eq!(golden(name).lines().count(), bodies.len(), "{name}");
        for (line, body) in golden(name).lines().zip(bodies) {
            assert_eq!(decode(&unhex(line)), Ok((samples::stamp(), body)));
        }
    }
}

#[test]
fn a_frame_is_read_at_any_address() {
    for body in samples::kinds().into_iter().flat_map(|(_, bodies)| bodies) {
        let frame = encode(&samples::stamp(), &body);
        for shift in 0..16 {
            let mut shifted = vec![0xff; shift];
            shifted.extend_from_slice(&frame);
            assert_eq!(decode(&shifted[shift..]), Ok((samples::stamp(), body.clone())), "shifted by {shift}");
        }
    }
}

#[test]
fn a_short_frame_is_refused() {
    let frame = tick();
    for len in 0..HEADER_LEN {
        assert_eq!(decode(&frame[..len]), Err(FrameError::Short { len }));
    }
}

#[test]
fn another_version_is_refused_before_anything_else_is_read() {
    for version in [0, 2, u16::MAX] {
        let mut frame = vec![0xff; HEADER_LEN];
        frame[..2].copy_from_slice(&version.to_le_bytes());
        assert_eq!(decode(&frame), Err(FrameError::Version { version }));
    }
}

/// Of a version to come only length and checksum are known: they tell a frame of a newer build, which may not be passed over, from what is no frame.
#[test]
fn a_whole_frame_of_a_newer_version_is_told_from_what_is_no_frame() {
    let mut frame = tick().to_vec();
    frame[..2].copy_from_slice(&9u16.to_le_bytes());
    assert_eq!(decode(&frame), Err(FrameError::Version { version: 9 }), "its checksum is another");
    seal(&mut frame);
    let refusal = decode(&frame).expect_err("newer");
    assert_eq!(refusal, FrameError::Newer { version: 9 });
    assert_eq!(refusal.to_string(), "a frame of version 9, written by a newer build: this build reads versions 1 to 1");
    frame.push(0);
    assert_eq!(decode(&frame), Err(FrameError::Version { version: 9 }), "longer than it says");
    // Nothing of ours was ever version 0.
    frame.pop();
    frame[..2].fill(0);
    seal(&mut frame);
    assert_eq!(decode(&frame), Err(FrameError::Version { version: 0 }));
}

#[test]
fn an_unknown_kind_is_refused_before_the_length() {
    for kind in [0, 7, u16::MAX] {
        let mut frame = tick().to_vec();
        frame[2..4].copy_from_slice(&kind.to_le_bytes());
        frame.pop();
        assert_eq!(decode(&frame), Err(FrameError::Kind { kind }));
    }
}

#[test]
fn another_length_is_refused_before_the_checksum() {
    let frame = tick();
    let short = &frame[..frame.len() - 1];
    assert_eq!(decode(short), Err(FrameError::Length { len: 16, actual: 15 }));
    let long = [&frame[..], &[0]].concat();
    assert_eq!(decode(&long), Err(FrameError::Length { len: 16, actual: 17 }));
}

#[test]
fn every_flipped_bit_behind_the_length_is_a_checksum_error() {
    let frame = tick();
    for bit in 8 * 8..frame.len() * 8 {
        let mut flipped = frame.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(decode(&flipped), Err(FrameError::Checksum { crc, actual }) if crc != actual), "bit {bit}");
    }
}

#[test]
fn a_body_that_is_no_archive_is_refused() {
    // The body of an OrderEvent whose tag names no variant, under a right checksum.
    let bodies = samples::kinds().into_iter().find(|(name, _)| *name == "order_event").expect("one of the kinds").1;
    let mut frame = encode(&samples::stamp(), &bodies[0]).to_vec();
    frame[HEADER_LEN] = 0xee;
    seal(&mut frame);
    assert_eq!(decode(&frame), Err(FrameError::Body { kind: 4 }));
}

#[test]
fn an_identifier_that_is_none_is_refused() {
    let place = |symbol: &[u8; 6], id: &str| {
        encode(
            &samples::stamp(),
            &Body::AccountCommand(AccountCommand::Cancel { account: AccountId(1), client_order_id: ClientOrderId(id.into()), symbol: Symbol(*symbol) }),
        )
    };
    assert!(decode(&place(b"BTCUSD", "x-1_Y")).is_ok());
    let too_long = "a".repeat(37);
    for (symbol, id) in
        [(b"btcusd", "x"), (b"BTC/US", "x"), (b"BTCUS\xff", "x"), (b"BTCUSD", ""), (b"BTCUSD", "a b"), (b"BTCUSD", "caf\u{e9}"), (b"BTCUSD", &too_long)]
    {
        assert_eq!(decode(&place(symbol, id)), Err(FrameError::Body { kind: 1 }), "{symbol:?} {id:?}");
    }
    let deposit = AccountCommand::Deposit { account: AccountId(1), deposit_id: 1, asset: Asset(*b"U$D"), amount: 1 };
    assert_eq!(decode(&encode(&samples::stamp(), &Body::AccountCommand(deposit))), Err(FrameError::Body { kind: 1 }));
}

#[test]
fn a_body_of_another_kind_is_refused() {
    // 16 bytes of a tick are too short for a list of trades.
    let mut frame = tick().to_vec();
    frame[2..4].copy_from_slice(&5_u16.to_le_bytes());
    seal(&mut frame);
    assert_eq!(decode(&frame), Err(FrameError::Body { kind: 5 }));
}

#[test]
fn errors_name_field_and_rule() {
    let mut frame = tick().to_vec();
    frame[0] = 9;
    assert_eq!(decode(&frame).expect_err("version 9").to_string(), "version 9: this build reads 1 to 1");
    frame[0] = 1;
    frame[2] = 9;
    assert_eq!(decode(&frame).expect_err("kind 9").to_string(), "kind 9: known are 1 to 6");
}

fn golden(name: &str) -> &'static str {
    match name {
        "account_command" => include_str!("golden/account_command.hex"),
        "account_event" => include_str!("golden/account_event.hex"),
        "order_command" => include_str!("golden/order_command.hex"),
        "order_event" => include_str!("golden/order_event.hex"),
        "trades" => include_str!("golden/trades.hex"),
        "system_tick" => include_str!("golden/system_tick.hex"),
        _ => panic!("no golden file of {name}"),
    }
}

fn tick() -> Bytes {
    encode(&samples::stamp(), &Body::SystemTick(SystemTick { sequence: 5, time_ms: 6 }))
}

/// Puts the right checksum on changed bytes.
fn seal(frame: &mut [u8]) {
    frame[8..12].fill(0);
    let crc = crc32c::crc32c(frame);
    frame[8..12].copy_from_slice(&crc.to_le_bytes());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(line: &str) -> Vec<u8> {
    (0..line.len() / 2).map(|i| u8::from_str_radix(&line[2 * i..2 * i + 2], 16).expect("golden files are hex")).collect()
}
