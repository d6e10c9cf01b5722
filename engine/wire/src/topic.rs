//! Topics by the documents' names (`order_commands`, alias `exchange-order`, …) and their keys.

/// A topic of the exchange. The number is the `input topic` byte of a frame's source: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Topic {
    /// Key: account.
    AccountCommands = 1,
    /// Key: account; partition = that of `account_commands`.
    AccountEvents = 2,
    /// Key: symbol. Alias `exchange-order`.
    OrderCommands = 3,
    /// Key: symbol; partition = that of `order_commands`.
    OrderEvents = 4,
    /// Key: symbol; partition = that of `order_commands`. Alias `exchange-trade`.
    TradeExecuted = 5,
    /// One partition.
    SystemTicks = 6,
}

impl Topic {
    /// Every topic, in the order of its number.
    pub const ALL: [Topic; 6] =
        [Topic::AccountCommands, Topic::AccountEvents, Topic::OrderCommands, Topic::OrderEvents, Topic::TradeExecuted, Topic::SystemTicks];

    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Topic::AccountCommands => "account_commands",
            Topic::AccountEvents => "account_events",
            Topic::OrderCommands => "order_commands",
            Topic::OrderEvents => "order_events",
            Topic::TradeExecuted => "trade_executed",
            Topic::SystemTicks => "system_ticks",
        }
    }

    /// The topic of a name or alias.
    pub fn from_name(name: &str) -> Option<Topic> {
        match name {
            "exchange-order" => Some(Topic::OrderCommands),
            "exchange-trade" => Some(Topic::TradeExecuted),
            _ => Topic::ALL.into_iter().find(|topic| topic.name() == name),
        }
    }
}
