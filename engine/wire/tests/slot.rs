//! Slots: what is put is got, and what is not one is refused.

use wire::ids::{AccountId, OrderId, Symbol};
use wire::order::{CancelReason, EndReason, OrderType, RejectReason, Side, TimeInForce};
use wire::slot::{Command, Report, Slot, SlotError};

const SYMBOL: Symbol = Symbol(*b"BTCUSD");
const ACCOUNT: AccountId = AccountId(5);
const ORDER: OrderId = OrderId(6);

fn commands() -> [Command; 4] {
    let place = Command::Place {
        symbol: SYMBOL,
        side: Side::Sell,
        order_type: OrderType::Market,
        time_in_force: TimeInForce::Ioc,
        order_id: ORDER,
        account: ACCOUNT,
        price_ticks: i64::MAX,
        quantity_lots: i64::MIN,
    };
    [
        place,
        Command::Cancel { symbol: SYMBOL, order_id: ORDER, account: ACCOUNT },
        Command::Reduce { symbol: SYMBOL, order_id: ORDER, account: ACCOUNT, lots: 1 },
        Command::Replace { symbol: SYMBOL, order_id: ORDER, account: ACCOUNT, price_ticks: 2, quantity_lots: 3 },
    ]
}

fn reports() -> [Report; 7] {
    [
        Report::Accepted { order_id: ORDER, account: ACCOUNT },
        Report::Rejected { reason: RejectReason::BookFull, order_id: ORDER, account: ACCOUNT, quantity_lots: 1 },
        Report::Traded { trade_id: 1, maker_order_id: ORDER, maker_account: ACCOUNT, price_ticks: 2, quantity_lots: 3 },
        Report::Ended { reason: EndReason::Expired, order_id: ORDER, account: ACCOUNT, remaining_lots: 4 },
        Report::Reduced { order_id: ORDER, account: ACCOUNT, lots: 5 },
        Report::Replaced { side: Side::Sell, order_id: ORDER, account: ACCOUNT, price_ticks: 6, released_lots: 7 },
        Report::CancelRejected { reason: CancelReason::UnknownOrder, order_id: ORDER, account: ACCOUNT },
    ]
}

#[test]
fn what_is_put_is_got() {
    let mut slot = Slot::EMPTY;
    for (tag, command) in (7..).zip(commands()) {
        slot.put(tag, &command);
        assert_eq!((slot.tag(), slot.get()), (tag, Ok(command)));
    }
    let mut slot = Slot::EMPTY;
    for (tag, report) in (7..).zip(reports()) {
        slot.put(tag, &report);
        assert_eq!((slot.tag(), slot.get()), (tag, Ok(report)));
    }
}

#[test]
fn nothing_of_the_last_command_stays_behind() {
    let (mut reused, mut fresh) = (Slot::EMPTY, Slot::EMPTY);
    reused.put(1, &commands()[0]);
    reused.put(2, &commands()[1]);
    fresh.put(2, &commands()[1]);
    assert_eq!(reused.archive(), fresh.archive());
}

#[test]
fn an_archive_from_elsewhere_is_checked_at_any_address() {
    let mut slot = Slot::EMPTY;
    slot.put(1, &commands()[3]);
    for shift in 0..8 {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(&slot.archive());
        let mut copy = Slot::<Command>::EMPTY;
        assert_eq!(copy.put_archive(1, &shifted[shift..]), Ok(()));
        assert_eq!(copy, slot);
    }
}

#[test]
fn a_slot_that_nobody_wrote_is_refused() {
    assert_eq!(Slot::<Command>::EMPTY.get(), Err(SlotError::Version { version: 0 }));
    assert_eq!(Slot::<Report>::default().get(), Err(SlotError::Version { version: 0 }));
}

#[test]
fn a_bad_archive_is_refused_and_changes_nothing() {
    let mut slot = Slot::EMPTY;
    slot.put(1, &commands()[1]);
    let before = slot;
    let mut archive = slot.archive();
    archive[0] = 4;
    assert_eq!(slot.put_archive(2, &archive), Err(SlotError::Body));
    archive.pop();
    assert_eq!(slot.put_archive(2, &archive), Err(SlotError::Length { len: archive.len(), expected: archive.len() + 1 }));
    assert_eq!(slot, before);
}
