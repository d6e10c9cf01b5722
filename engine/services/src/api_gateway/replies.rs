//! Events to Binance's JSON; read again by [`crate::client`].

use crate::decimal::{amount_to_text, lots_to_quantity, ticks_to_price};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wire::{Asset, Balance, OrderState, OrderStatus, OrderType, Side, SymbolSpec, TimeInForce};

/// An order, as all three verbs of `/api/v3/order` tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderReply {
    pub symbol: String,
    pub order_id: u64,
    /// No order lists: −1.
    pub order_list_id: i64,
    pub client_order_id: String,
    /// Of a cancel: the order's; the cancel has no name of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orig_client_order_id: Option<String>,
    /// Of a place or cancel: log time of the order's acceptance, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transact_time: Option<u64>,
    /// The limit; of a market order the protection price.
    pub price: String,
    pub orig_qty: String,
    /// Settled so far.
    pub executed_qty: String,
    /// Quote settled so far.
    pub cummulative_quote_qty: String,
    /// NEW, PARTIALLY_FILLED, FILLED, CANCELED, REJECTED, EXPIRED; of a cancel PENDING_CANCEL: it was sent on behind the order.
    pub status: String,
    pub time_in_force: String,
    #[serde(rename = "type")]
    pub order_type: String,
    pub side: String,
    /// Of a query: log time of acceptance, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
    /// Of a query: as `time`; later changes are not dated yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_time: Option<u64>,
    /// Of a query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_working: Option<bool>,
}

/// `GET /api/v3/account`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountReply {
    pub maker_commission: i64,
    pub taker_commission: i64,
    pub buyer_commission: i64,
    pub seller_commission: i64,
    pub commission_rates: CommissionRates,
    pub can_trade: bool,
    pub can_withdraw: bool,
    pub can_deposit: bool,
    pub account_type: String,
    /// Every non-zero balance, by asset.
    pub balances: Vec<BalanceReply>,
    pub permissions: Vec<String>,
    /// The account's number.
    pub uid: u64,
}

/// No fees yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommissionRates {
    pub maker: String,
    pub taker: String,
    pub buyer: String,
    pub seller: String,
}

/// A balance in whole units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceReply {
    pub asset: String,
    pub free: String,
    pub locked: String,
}

impl OrderReply {
    /// Answer to a place.
    pub fn placed(spec: &SymbolSpec, scales: &BTreeMap<Asset, u8>, order: &OrderState) -> Self {
        OrderReply { transact_time: Some(order.accepted_ms), ..Self::of(spec, scales, order) }
    }

    /// Answer to a cancel that was sent on: what becomes of it, a query tells.
    pub fn cancel_sent(spec: &SymbolSpec, scales: &BTreeMap<Asset, u8>, order: &OrderState) -> Self {
        OrderReply {
            orig_client_order_id: Some(order.client_order_id.0.clone()),
            transact_time: Some(order.accepted_ms),
            status: "PENDING_CANCEL".into(),
            ..Self::of(spec, scales, order)
        }
    }

    /// Answer to a query.
    pub fn queried(spec: &SymbolSpec, scales: &BTreeMap<Asset, u8>, order: &OrderState) -> Self {
        let is_working = Some(!order.status.is_terminal());
        OrderReply { time: Some(order.accepted_ms), update_time: Some(order.accepted_ms), is_working, ..Self::of(spec, scales, order) }
    }

    fn of(spec: &SymbolSpec, scales: &BTreeMap<Asset, u8>, order: &OrderState) -> Self {
        OrderReply {
            symbol: order.symbol.to_string(),
            order_id: order.order_id.0,
            order_list_id: -1,
            client_order_id: order.client_order_id.0.clone(),
            orig_client_order_id: None,
            transact_time: None,
            price: ticks_to_price(spec, order.price_ticks),
            orig_qty: lots_to_quantity(spec, order.quantity_lots),
            executed_qty: lots_to_quantity(spec, order.settled_lots),
            cummulative_quote_qty: amount_to_text(order.settled_quote, scale_of(scales, spec.quote)),
            status: status_text(order.status).into(),
            time_in_force: time_in_force_text(order.time_in_force).into(),
            order_type: order_type_text(order.order_type).into(),
            side: side_text(order.side).into(),
            time: None,
            update_time: None,
            is_working: None,
        }
    }
}

impl AccountReply {
    /// Answer to `GET /api/v3/account`.
    pub fn of(uid: u64, balances: &[Balance], scales: &BTreeMap<Asset, u8>) -> Self {
        let balances = balances.iter().map(|balance| BalanceReply {
            asset: balance.asset.as_str().to_owned(),
            free: amount_to_text(balance.free, scale_of(scales, balance.asset)),
            locked: amount_to_text(balance.locked, scale_of(scales, balance.asset)),
        });
        let none = || "0.00000000".to_owned();
        AccountReply {
            maker_commission: 0,
            taker_commission: 0,
            buyer_commission: 0,
            seller_commission: 0,
            commission_rates: CommissionRates { maker: none(), taker: none(), buyer: none(), seller: none() },
            can_trade: true,
            can_withdraw: false,
            can_deposit: false,
            account_type: "SPOT".into(),
            balances: balances.collect(),
            permissions: vec!["SPOT".into()],
            uid,
        }
    }
}

/// Decimals of an asset; one that no symbol of ours names is told in minor units.
fn scale_of(scales: &BTreeMap<Asset, u8>, asset: Asset) -> u8 {
    scales.get(&asset).copied().unwrap_or(0)
}

fn status_text(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::New => "NEW",
        OrderStatus::PartiallyFilled => "PARTIALLY_FILLED",
        OrderStatus::Filled => "FILLED",
        OrderStatus::Canceled => "CANCELED",
        OrderStatus::Rejected => "REJECTED",
        OrderStatus::Expired => "EXPIRED",
    }
}

/// `GTC`, `IOC`, `FOK`.
pub fn time_in_force_text(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::Gtc => "GTC",
        TimeInForce::Ioc => "IOC",
        TimeInForce::Fok => "FOK",
    }
}

/// `LIMIT`, `MARKET`, `LIMIT_MAKER`.
pub fn order_type_text(order_type: OrderType) -> &'static str {
    match order_type {
        OrderType::Limit => "LIMIT",
        OrderType::Market => "MARKET",
        OrderType::LimitMaker => "LIMIT_MAKER",
    }
}

/// `BUY`, `SELL`.
pub fn side_text(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}
