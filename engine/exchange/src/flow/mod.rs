//! `exchange flow FILE`: recorded order flow (LOBSTER, ITCH) through HTTP clients against a running exchange.
//!
//! The orders are dealt to the accounts in turn. A client can place and cancel: a partial cancel of the recording is a cancel and a new order.

mod account;
mod play;
mod report;

use crate::composition::visitor;
use crate::deposit::{self, Credit};
use crate::listing;
use crate::terminal::say;
use crate::usage::usage;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use play::{Pace, Player};
use services::bootstrap::Deposit;
use services::flow::player::{self, Order};
use std::path::{Path, PathBuf};
use wire::{AccountId, Side, Symbol, SymbolSpec};

/// Settings of `exchange flow`.
#[derive(Debug, Clone, Args)]
pub struct FlowArgs {
    /// LOBSTER message file, or NASDAQ ITCH 5.0 file. If a LOBSTER order book file lies beside, its first row gives the orders from before.
    file: PathBuf,
    /// The stock of an ITCH file that has orders of several.
    #[arg(long)]
    stock: Option<String>,
    /// How much faster than recorded (1, 0.5, 20), or `max`: each client sends its next request when it has the answer to the last.
    #[arg(long, default_value = "1", value_parser = Pace::parse)]
    speed: Pace,
    /// Accounts 1 to N place the orders, each over one connection of its own.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    accounts: u64,
    /// What the orders are placed in; a price of the recording in cents is as many ticks, a share is a lot.
    #[arg(long, default_value = "BTCUSD", value_parser = parse_symbol)]
    symbol: Symbol,
    /// Symbols: the JSON file that the exchange was started with; without it BTCUSD.
    #[arg(long, env = "EXCHANGE_LISTING")]
    listing: Option<PathBuf>,
    /// Where the HTTP interface listens.
    #[arg(long, env = "EXCHANGE_LISTEN", default_value = "127.0.0.1:8080", value_parser = crate::usage::address)]
    gateway: String,
    /// Before anything else deposit what the orders of each account need, through the log.
    #[arg(long)]
    fund: bool,
    /// Where the log listens.
    #[arg(long, env = "EXCHANGE_LOG_LISTEN", default_value = "127.0.0.1:9092", value_parser = crate::usage::address)]
    log: String,
}

fn parse_symbol(text: &str) -> Result<Symbol, String> {
    Symbol::parse(text).map_err(|error| error.to_string())
}

/// Price units of either format in a cent.
const TICK: i64 = 100;

/// Plays, then prints what became of it.
pub async fn run(args: FlowArgs) -> Result<()> {
    let specs = args.listing.as_deref().map_or_else(|| Ok(listing::default()), listing::read).map_err(usage)?;
    let spec = specs.into_iter().find(|spec| spec.symbol == args.symbol);
    let spec = spec.ok_or_else(|| usage(anyhow!("--symbol {}: not in the listing", args.symbol)))?;
    let orders = read(&args.file, args.stock.as_deref()).map_err(usage)?;
    if args.fund {
        fund(&args, &spec, &orders).await.context("--fund")?;
    }
    let player = Player::new(args.gateway.clone(), args.accounts, args.speed, spec);
    let played = player.play(&orders).await;
    say!("{}", report::text(&args, &orders, &played).trim_end())?;
    match played.unresolved {
        0 => Ok(()),
        unresolved => bail!("{unresolved} requests were not answered though asked again for {} s", play::RESOLVE_MS / 1_000),
    }
}

/// The recording's orders; an error names file, place, field and rule.
fn read(file: &Path, stock: Option<&str>) -> Result<Vec<Order>> {
    let text = |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let messages = std::fs::read(file).with_context(|| file.display().to_string())?;
    let name = file.display().to_string();
    let beside = player::book_file_of(&name).filter(|book| Path::new(book).exists());
    let book = beside.map(|book| text(Path::new(&book)).map(|rows| (book, rows))).transpose()?;
    let book = book.as_ref().map(|(name, rows)| (name.as_str(), rows.as_str()));
    Ok(player::read((&name, &messages), book, stock, TICK)?)
}

/// Deposits for each account what its orders can cost; every run anew.
async fn fund(args: &FlowArgs, spec: &SymbolSpec, orders: &[Order]) -> Result<()> {
    let log = visitor(&args.log);
    let mut ids = runtime::rng::Rng::of_node("deposit");
    for account in 1..=args.accounts {
        let (mut base, mut quote) = (0_i64, 0_i64);
        for order in play::of_account(orders, account, args.accounts).map(|(_, order)| order) {
            let (sum, per_lot) = match order.side {
                Side::Buy => (&mut quote, order.price_ticks.checked_mul(spec.quote_per_tick_lot)),
                Side::Sell => (&mut base, Some(spec.base_per_lot)),
            };
            let cost = per_lot.and_then(|per_lot| per_lot.checked_mul(order.lots));
            *sum = cost.and_then(|cost| sum.checked_add(cost)).with_context(|| format!("account {account}: what its orders cost is beyond 2^63"))?;
        }
        for (asset, amount) in [(spec.base, base), (spec.quote, quote)].into_iter().filter(|(_, amount)| *amount > 0) {
            let deposit = Deposit { account: AccountId(account), deposit_id: ids.next_u64(), asset, amount };
            match deposit::credit(&log, &deposit).await.with_context(|| format!("account {account}"))? {
                Credit::New | Credit::Before => {}
                Credit::Refused(reason) => bail!("account {account}: {amount} of {asset:?}: {reason:?}"),
            }
        }
    }
    Ok(())
}
