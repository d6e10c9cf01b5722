//! Slots: any words, and any archive, which must mean what it means to rkyv.

use crate::Target;
use rkyv::rancor::Failure;
use rkyv::util::AlignedVec;
use wire::slot::{Command, Report, Slot, SlotError};
use wire::{AccountId, EndReason, OrderId, OrderType, RejectReason, Side, Symbol, TimeInForce};

pub const TARGET: Target = Target { name: "slot", about: "the message of a ring", seeds, run };

fn seeds() -> Vec<Vec<u8>> {
    let (order_id, account, symbol) = (OrderId(7), AccountId(9), Symbol(*b"BTCUSD"));
    let (order_type, time_in_force) = (OrderType::Limit, TimeInForce::Gtc);
    let place = Command::Place { symbol, side: Side::Sell, order_type, time_in_force, order_id, account, price_ticks: 3, quantity_lots: 4 };
    let commands = [place, Command::Cancel { symbol, order_id, account }, Command::Replace { symbol, order_id, account, price_ticks: 3, quantity_lots: 4 }];
    let rejected = Report::Rejected { reason: RejectReason::Halted, order_id, account, quantity_lots: 4 };
    let reports = [rejected, Report::Ended { reason: EndReason::Expired, order_id, account, remaining_lots: 4 }];
    let commands = commands.map(|command| {
        let mut slot = Slot::EMPTY;
        slot.put(1, &command);
        slot.archive().to_vec()
    });
    let reports = reports.map(|report| {
        let mut slot = Slot::EMPTY;
        slot.put(1, &report);
        slot.archive().to_vec()
    });
    commands.into_iter().chain(reports).collect()
}

fn run(input: &[u8]) -> String {
    let (mut command, mut report) = (Slot::<Command>::EMPTY, Slot::<Report>::EMPTY);
    let commanded = command.put_archive(3, input).and_then(|()| command.get());
    let reported = report.put_archive(3, input).and_then(|()| report.get());
    let mut archive = AlignedVec::<16>::new();
    archive.extend_from_slice(input);
    if !matches!(commanded, Err(SlotError::Length { .. })) {
        assert_eq!(commanded.ok(), rkyv::from_bytes::<Command, Failure>(&archive).ok(), "a command says what it says to rkyv");
    }
    if !matches!(reported, Err(SlotError::Length { .. })) {
        assert_eq!(reported.ok(), rkyv::from_bytes::<Report, Failure>(&archive).ok(), "a report says what it says to rkyv");
    }
    let mut words = [0; 8];
    words.iter_mut().zip(input.as_chunks().0).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
    let (any_command, any_report) = (Slot::<Command>::from(words).get(), Slot::<Report>::from(words).get());
    format!("{} {} {} {}", said(commanded), said(reported), said(any_command), said(any_report))
}

/// The variant, or the error.
fn said<T: std::fmt::Debug>(read: Result<T, SlotError>) -> String {
    match read {
        Ok(value) => {
            let text = format!("{value:?}");
            // A symbol is all capitals.
            let enums = text.split(' ').filter(|word| word.starts_with(char::is_uppercase) && word[1..].starts_with(char::is_lowercase) && !word.contains('('));
            enums.collect()
        }
        Err(error) => error.to_string(),
    }
}
