//! What crosses a ring or the log: identifiers, integers for price and quantity, message bodies, frames, slots, topic names and the partition function.
//!
//! **Architecture invariants.** `wire` depends on no other crate of the workspace. No binary floating point. Nothing here reads a clock or draws
//! a random number. Header fields are checked before a body is accessed; a body is accessed with validation everywhere.

pub mod account;
pub mod frame;
pub mod ids;
pub mod order;
pub mod partition;
pub mod slot;
pub mod tick;
pub mod topic;
pub mod trade;
mod words;

pub use account::{AccountCommand, AccountEvent, Balance, OrderState, OrderStatus, RefusalReason};
pub use frame::{Body, FrameError, Source, Stamp};
pub use ids::{AccountId, Asset, ClientOrderId, Correlation, OrderId, Symbol};
pub use order::{CancelReason, EndReason, OrderCommand, OrderEvent, OrderType, RejectReason, Side, SymbolSpec, TimeInForce};
pub use tick::SystemTick;
pub use topic::Topic;
pub use trade::{Trade, TradeList};
