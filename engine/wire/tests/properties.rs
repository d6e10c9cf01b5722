//! decode(encode(m)) == m for every body, and no bytes make a reader panic.

mod arbitrary;

use arbitrary::{bodies, commands, reports, stamps};
use proptest::prelude::*;
use rkyv::rancor::Failure;
use wire::frame::{HEADER_LEN, decode, encode};
use wire::slot::{Command, Report, Slot};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_frame_is_read_as_it_was_written(stamp in stamps(), body in bodies()) {
        let frame = encode(&stamp, &body);
        prop_assert_eq!(decode(&frame), Ok((stamp, body.clone())));
        prop_assert_eq!(encode(&stamp, &body), frame, "the same message gives the same bytes");
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&bytes).is_err());
    }

    /// Under a right header and checksum, so that the archive itself is met.
    #[test]
    fn any_body_is_read_without_panic(stamp in stamps(), kind in 1_u16..=6, body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&sealed(encode(&stamp, &first_body()).to_vec(), kind, &body));
    }

    #[test]
    fn a_damaged_body_is_read_without_panic(body in bodies(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let frame = encode(&wire::Stamp::default(), &body);
        let mut archive = frame[HEADER_LEN..].to_vec();
        for (at, byte) in damage {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        let damaged = sealed(frame.to_vec(), body.kind(), &archive);
        // What is still an archive is a message, and written again it is read again.
        if let Ok((stamp, read)) = decode(&damaged) {
            prop_assert!(!format!("{read:?}").is_empty(), "and can be printed");
            prop_assert_eq!(decode(&encode(&stamp, &read)), Ok((stamp, read)));
        }
    }

    #[test]
    fn a_slot_gives_what_was_put(tag: u32, command in commands(), report in reports()) {
        let (mut in_slot, mut out_slot) = (Slot::EMPTY, Slot::EMPTY);
        in_slot.put(tag, &command);
        out_slot.put(tag, &report);
        prop_assert_eq!((in_slot.tag(), in_slot.get()), (tag, Ok(command)));
        prop_assert_eq!((out_slot.tag(), out_slot.get()), (tag, Ok(report)));
    }

    /// A slot's words are written without rkyv, and are its bytes.
    #[test]
    fn a_slot_holds_what_rkyv_writes(tag: u32, command in commands(), report in reports()) {
        let (mut in_slot, mut out_slot) = (Slot::EMPTY, Slot::EMPTY);
        in_slot.put(tag, &command);
        out_slot.put(tag, &report);
        let command = rkyv::to_bytes::<Failure>(&command).expect("an archive without pointers does not fail");
        let report = rkyv::to_bytes::<Failure>(&report).expect("an archive without pointers does not fail");
        prop_assert_eq!((&*in_slot.archive(), &*out_slot.archive()), (&*command, &*report));
    }

    /// A slot's words are read without rkyv, and mean what they mean to it: damaged archives, which are valid often, and arbitrary ones.
    #[test]
    fn a_slot_says_what_rkyv_says(
        command in commands(),
        report in reports(),
        damage in prop::collection::vec((prop_oneof![3 => 0..10_usize, 1 => 0..48_usize], prop_oneof![0..12_u8, 47..92_u8, any::<u8>()]), 0..4),
        noise in prop::collection::vec(any::<u8>(), 48),
    ) {
        let (mut in_slot, mut out_slot) = (Slot::EMPTY, Slot::EMPTY);
        in_slot.put(0, &command);
        out_slot.put(0, &report);
        for archive in [in_slot.archive(), out_slot.archive(), noise] {
            let mut archive = rkyv::util::Align(<[u8; 48]>::try_from(archive).expect("both archives have 48 bytes"));
            damage.iter().for_each(|(at, byte)| archive[*at] = *byte);
            let (mut in_slot, mut out_slot) = (Slot::<Command>::EMPTY, Slot::<Report>::EMPTY);
            let command = in_slot.put_archive(0, &*archive).and_then(|()| in_slot.get()).ok();
            let report = out_slot.put_archive(0, &*archive).and_then(|()| out_slot.get()).ok();
            prop_assert_eq!(command, rkyv::from_bytes::<Command, Failure>(&*archive).ok());
            prop_assert_eq!(report, rkyv::from_bytes::<Report, Failure>(&*archive).ok());
        }
    }

    #[test]
    fn any_archive_is_put_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), commands_len: bool) {
        let (mut in_slot, mut out_slot) = (Slot::<Command>::EMPTY, Slot::<Report>::EMPTY);
        let mut sized = Slot::EMPTY;
        sized.put(0, &Command::Cancel { symbol: wire::Symbol(*b"BTCUSD"), order_id: wire::OrderId(1), account: wire::AccountId(1) });
        let mut bytes = bytes;
        if commands_len {
            bytes.resize(sized.archive().len(), 0);
        }
        prop_assert_eq!(in_slot.put_archive(1, &bytes).is_ok(), in_slot.get().is_ok());
        prop_assert_eq!(out_slot.put_archive(1, &bytes).is_ok(), out_slot.get().is_ok());
    }
}

fn first_body() -> wire::Body {
    wire::Body::SystemTick(wire::SystemTick { sequence: 1, time_ms: 1 })
}

/// A frame with another kind and body under a right length and checksum.
fn sealed(mut frame: Vec<u8>, kind: u16, body: &[u8]) -> Vec<u8> {
    frame.truncate(HEADER_LEN);
    frame.extend_from_slice(body);
    frame[2..4].copy_from_slice(&kind.to_le_bytes());
    frame[4..8].copy_from_slice(&u32::try_from(body.len()).expect("tests are short").to_le_bytes());
    frame[8..12].fill(0);
    let crc = crc32c::crc32c(&frame);
    frame[8..12].copy_from_slice(&crc.to_le_bytes());
    frame
}
