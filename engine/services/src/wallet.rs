//! `wallet`: a policy. It turns each trade into one Settle for each side, and each end of an order with lots left into one Release. It keeps nothing:
//! amounts are worked out by the account machine, which knows what it holds.
//!
//! A wallet that takes over may read first what a former owner of the engine sent again, and cannot know it for a repeat. So that the account machine
//! can, each output says what it is about: a Settle its trade, a Release the order's end, or, where the order only became smaller, the command that did it.

use crate::runner::{Input, Machine, Outputs, Service, To};
use wire::{AccountCommand, AccountId, Body, Correlation, OrderEvent, RejectReason, Stamp, Topic, TradeList};

/// The service; see the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct WalletService;

impl Service for WalletService {
    type Machine = WalletPolicy;

    fn name(&self) -> &'static str {
        "wallet"
    }

    fn number(&self) -> u8 {
        3
    }

    fn group(&self) -> &'static str {
        "wallet-group"
    }

    fn inputs(&self) -> Vec<Topic> {
        vec![Topic::TradeExecuted, Topic::OrderEvents]
    }

    fn outputs(&self) -> Vec<Topic> {
        vec![Topic::AccountCommands]
    }

    fn journal(&self) -> Option<Topic> {
        None
    }

    fn owned(&self, _epoch: u32, _claim: u64) -> Body {
        unreachable!("a policy has no journal to claim an epoch in")
    }

    fn machine(&self, _partition: u32) -> WalletPolicy {
        WalletPolicy
    }
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct WalletPolicy;

impl Machine for WalletPolicy {
    fn apply(&mut self, inputs: &[Input], outputs: &mut Outputs) {
        for input in inputs {
            match &input.body {
                Body::Trades(list) => settle(input, list, outputs),
                Body::OrderEvent(event) => {
                    if let Some((account, release)) = release_of(event) {
                        let names_itself = matches!(release, AccountCommand::Release { rejected: Some(_), .. } | AccountCommand::Release { end: Some(_), .. });
                        let correlation = if names_itself { Correlation::default() } else { reduction(&input.stamp) };
                        emit(input, correlation, account, release, outputs);
                    }
                }
                // Anything else in these topics is a foreign writer's mistake.
                _ => {}
            }
        }
    }

    fn state_hash(&self) -> u64 {
        0
    }
}

/// Taker first, then maker, trade by trade.
fn settle(input: &Input, list: &TradeList, outputs: &mut Outputs) {
    for trade in &list.trades {
        let taker = (list.taker_account, list.taker_order_id, list.taker_side);
        let maker = (trade.maker_account, trade.maker_order_id, list.taker_side.opposite());
        for (account, order_id, side) in [taker, maker] {
            let settle = AccountCommand::Settle {
                account,
                order_id,
                trade_id: trade.trade_id,
                symbol: list.symbol,
                side,
                price_ticks: trade.price_ticks,
                lots: trade.quantity_lots,
            };
            emit(input, Correlation::default(), account, settle, outputs);
        }
    }
}

/// What an order event gives free, if anything.
fn release_of(event: &OrderEvent) -> Option<(AccountId, AccountCommand)> {
    let (account, order_id, symbol, lots, rejected, end) = match *event {
        // The hold under this id is of the order that came first: it goes its own way.
        OrderEvent::Rejected { reason: RejectReason::DuplicateOrderId, .. } => return None,
        OrderEvent::Rejected { order_id, account, symbol, quantity_lots, reason } => (account, order_id, symbol, quantity_lots, Some(reason), None),
        OrderEvent::Reduced { order_id, account, symbol, lots } => (account, order_id, symbol, lots, None, None),
        OrderEvent::Replaced { order_id, account, symbol, released_lots, .. } => (account, order_id, symbol, released_lots, None, None),
        OrderEvent::Ended { order_id, account, symbol, reason, remaining_lots } => (account, order_id, symbol, remaining_lots, None, Some(reason)),
        OrderEvent::Owned { .. } | OrderEvent::Accepted { .. } | OrderEvent::CancelRejected { .. } => return None,
    };
    (lots > 0).then_some((account, AccountCommand::Release { account, order_id, symbol, lots, rejected, end }))
}

/// The name of a reduction: where the engine's command stands, which is the same in every repeat of its event.
fn reduction(event: &Stamp) -> Correlation {
    // Told from "nobody waits", whatever the numbers are.
    let mut name = [0xff; 16];
    name[..2].copy_from_slice(&event.source.partition.to_be_bytes());
    name[2..10].copy_from_slice(&event.cause.to_be_bytes());
    name[10..14].copy_from_slice(&event.index.to_be_bytes());
    Correlation(name)
}

/// Nobody waits for the answer: the client's correlation is not passed on, or the gateway would take the answer for his.
#[track_caller]
fn emit(input: &Input, correlation: Correlation, account: AccountId, command: AccountCommand, outputs: &mut Outputs) {
    outputs.emit_as(input, correlation, Topic::AccountCommands, To::Key(account.0.to_string().into_bytes()), Body::AccountCommand(command));
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Correlation, EndReason, OrderId, Side, Stamp, Symbol, Trade};

    const SYMBOL: Symbol = Symbol(*b"BTCUSD");
    const ANN: AccountId = AccountId(1);
    const ORDER: OrderId = OrderId(7);

    /// What comes out for an event at this offset that the engine caused by its command at offset 77.
    fn outputs(offset: i64, body: Body) -> Vec<(To, Correlation, AccountCommand)> {
        let input = Input { offset, time_ms: 9, stamp: Stamp { correlation: Correlation([1; 16]), cause: 77, index: 3, ..Stamp::default() }, body };
        let mut outputs = Outputs::default();
        WalletPolicy.apply(&[input], &mut outputs);
        let commands = outputs.take().into_iter().map(|output| match output.body {
            Body::AccountCommand(command) => {
                assert_eq!((output.cause, output.topic), (offset, Topic::AccountCommands));
                (output.to, output.correlation, command)
            }
            other => panic!("not an account command: {other:?}"),
        });
        commands.collect()
    }

    fn commands(body: Body) -> Vec<(To, AccountCommand)> {
        let told = outputs(5, body.clone());
        assert_eq!(told, outputs(6, body), "a repeat of the event says the same");
        told.into_iter()
            .map(|(to, correlation, command)| {
                let is_reduction = matches!(command, AccountCommand::Release { rejected: None, end: None, .. });
                assert_eq!(correlation != Correlation::default(), is_reduction, "{command:?}");
                assert_ne!(correlation, Correlation([1; 16]), "the client's is not passed on");
                (to, command)
            })
            .collect()
    }

    #[test]
    fn a_trade_settles_both_sides_and_each_goes_to_its_own_account() {
        let trade = Trade { trade_id: 3, maker_order_id: OrderId(4), maker_account: AccountId(20), price_ticks: 100, quantity_lots: 6 };
        let list = TradeList {
            symbol: SYMBOL,
            taker_order_id: ORDER,
            taker_account: ANN,
            taker_side: Side::Sell,
            part: 0,
            trades: vec![trade, Trade { trade_id: 4, ..trade }],
        };
        let settle =
            |account, order_id, trade_id, side| AccountCommand::Settle { account, order_id, trade_id, symbol: SYMBOL, side, price_ticks: 100, lots: 6 };
        let expected = vec![
            (To::Key(b"1".to_vec()), settle(ANN, ORDER, 3, Side::Sell)),
            (To::Key(b"20".to_vec()), settle(AccountId(20), OrderId(4), 3, Side::Buy)),
            (To::Key(b"1".to_vec()), settle(ANN, ORDER, 4, Side::Sell)),
            (To::Key(b"20".to_vec()), settle(AccountId(20), OrderId(4), 4, Side::Buy)),
        ];
        assert_eq!(commands(Body::Trades(list)), expected);
    }

    #[test]
    fn what_frees_lots_is_released_and_nothing_else() {
        let (order_id, account, symbol) = (ORDER, ANN, SYMBOL);
        let release = |lots, rejected, end| vec![(To::Key(b"1".to_vec()), AccountCommand::Release { account, order_id, symbol, lots, rejected, end })];
        let full = RejectReason::BookFull;
        let table = [
            (OrderEvent::Rejected { order_id, account, symbol, quantity_lots: 5, reason: full }, release(5, Some(full), None)),
            (OrderEvent::Rejected { order_id, account, symbol, quantity_lots: 5, reason: RejectReason::DuplicateOrderId }, vec![]),
            (OrderEvent::Reduced { order_id, account, symbol, lots: 2 }, release(2, None, None)),
            (OrderEvent::Replaced { order_id, account, symbol, price_ticks: 9, released_lots: 2 }, release(2, None, None)),
            (OrderEvent::Replaced { order_id, account, symbol, price_ticks: 9, released_lots: 0 }, vec![]),
            (OrderEvent::Ended { order_id, account, symbol, reason: EndReason::Cancelled, remaining_lots: 3 }, release(3, None, Some(EndReason::Cancelled))),
            (OrderEvent::Ended { order_id, account, symbol, reason: EndReason::Filled, remaining_lots: 0 }, vec![]),
            (OrderEvent::Accepted { order_id, account, symbol }, vec![]),
            (OrderEvent::Owned { epoch: 1, claim: 2 }, vec![]),
        ];
        for (event, expected) in table {
            assert_eq!(commands(Body::OrderEvent(event)), expected, "{event:?}");
        }
    }
}
