//! Account, matching engine and wallet on a log in memory, one owner each for ever; and a gateway before them.

#![allow(clippy::disallowed_types, reason = "these tests run in real time only")]

use crate::memory_log::MemoryLog;
use log::history::Silent;
use log::{LogPort, Outcome, Record, TopicInfo, Tp};
use runtime::net::Listener;
use runtime::task::{JoinHandle, Stopper, spawn, stop_channel};
use runtime::time::monotonic_ms;
use services::account::AccountService;
use services::api_gateway::{GatewayConfig, run_on};
use services::bootstrap::{self, BootstrapConfig, Deposit};
use services::client::Client;
use services::matching_engine::MatchingService;
use services::runner::tenure::Tenure;
use services::runner::{Service, ServiceError};
use services::wallet::WalletService;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use wire::{AccountId, Asset, Symbol, SymbolSpec, Topic};

pub const ANN: AccountId = AccountId(1);
pub const BOB: AccountId = AccountId(22);
const PARTITIONS: u32 = 3;

/// Prices `100.50` in steps of 0.01, quantities in steps of 0.001; one BTC and one USD are 10^6 minor units.
pub fn btcusd() -> SymbolSpec {
    SymbolSpec {
        symbol: Symbol(*b"BTCUSD"),
        base: Asset(*b"BTC"),
        quote: Asset(*b"USD"),
        base_per_lot: 1_000,
        quote_per_tick_lot: 10,
        price_ticks_max: 1 << 40,
        quantity_lots_max: 1 << 30,
        price_decimals: 2,
        tick_step: 1,
        quantity_decimals: 3,
        lot_step: 1,
    }
}

/// A running exchange.
pub struct Exchange {
    pub log: MemoryLog,
    pub address: String,
    /// Machines work while this is true.
    pub works: watch::Sender<bool>,
    stopper: Stopper,
    gateway: JoinHandle<Result<(), ServiceError>>,
}

impl Exchange {
    /// Ann and Bob have 1,000 USD and 10 BTC each.
    pub async fn open(request_timeout_ms: u64, in_flight_max: usize) -> Exchange {
        let log = MemoryLog::new();
        for _twice in 0..2 {
            bootstrap::run(log.clone(), &bootstrap_config()).await.expect("a log in memory answers");
        }
        let (works, is_working) = watch::channel(true);
        spawn(run_machines(log.clone(), is_working));
        let listener = Listener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_address();
        let (stopper, stop) = stop_channel();
        let config = GatewayConfig { instance: "api_gateway-1".into(), listen: address.clone(), symbols: vec![btcusd()], request_timeout_ms, in_flight_max };
        let gateway = spawn(run_on(listener, log.clone(), config, Arc::new(Silent), stop));
        let exchange = Exchange { log, address, works, stopper, gateway };
        while !exchange.client(ANN).call::<serde_json::Value>(hyper::Method::GET, "/health").await.is_done() {}
        exchange
    }

    pub fn client(&self, account: AccountId) -> Client {
        Client::new(vec![self.address.clone()], account, 5_000)
    }

    /// Ends the gateway as an operator would.
    pub async fn close(self) {
        self.stopper.stop();
        assert_eq!(self.gateway.await.expect("it does not panic"), Ok(()));
    }
}

fn bootstrap_config() -> BootstrapConfig {
    let of = |account| {
        [(Asset(*b"USD"), 1_000_000_000), (Asset(*b"BTC"), 10_000_000)].map(|(asset, amount)| Deposit {
            account,
            deposit_id: u64::from(asset.0[0]),
            asset,
            amount,
        })
    };
    BootstrapConfig {
        account_partitions: PARTITIONS,
        symbol_partitions: 2,
        replication: 1,
        min_isr: 1,
        listings: vec![btcusd()],
        deposits: [ANN, BOB].into_iter().flat_map(of).collect(),
        deadline_ms: monotonic_ms() + 5_000,
    }
}

/// Whoever owns a partition: input, how far, and what it makes of it.
trait Worker: Send {
    fn work(&mut self, log: &MemoryLog, topics: &BTreeMap<Topic, TopicInfo>) -> bool;
}

struct Owner<S: Service> {
    input: Tp,
    next: i64,
    tenure: Tenure<S>,
}

impl<S: Service> Worker for Owner<S> {
    fn work(&mut self, log: &MemoryLog, topics: &BTreeMap<Topic, TopicInfo>) -> bool {
        let records = log.records_from(self.input, self.next);
        let Some(last) = records.last() else { return false };
        self.next = last.offset + 1;
        for output in self.tenure.apply(&records).expect("a log in memory has no holes") {
            let Record { key, value, timestamp_ms } = output.record;
            log.append(topics[&output.topic].tp(output.partition), Record { key, value, timestamp_ms });
        }
        true
    }
}

fn owners<S: Service>(service: &S, topics: &BTreeMap<Topic, TopicInfo>) -> Vec<Box<dyn Worker>>
where
    Tenure<S>: Send,
{
    let mut workers: Vec<Box<dyn Worker>> = Vec::new();
    for input in service.inputs() {
        for partition in 0..topics[&input].partitions {
            let partitions = topics.iter().map(|(topic, info)| (*topic, info.partitions)).collect();
            let mut tenure = Tenure::new(service, input, partition, partitions, 1_000);
            if service.journal().is_some() {
                tenure.begin_epoch(1);
            }
            workers.push(Box::new(Owner { input: topics[&input].tp(partition), next: 0, tenure }));
        }
    }
    workers
}

async fn run_machines(log: MemoryLog, mut works: watch::Receiver<bool>) {
    let Outcome::Done(infos) = log.topics(&Topic::ALL.map(Topic::name), 0).await else { panic!("bootstrap created every topic") };
    let topics: BTreeMap<Topic, TopicInfo> = Topic::ALL.into_iter().zip(infos).collect();
    let mut workers = owners(&AccountService, &topics);
    workers.extend(owners(&MatchingService::fast(1_000, 1_000), &topics));
    workers.extend(owners(&WalletService, &topics));
    let mut changes = log.changes();
    loop {
        changes.mark_unchanged();
        works.wait_for(|works| *works).await.expect("the exchange outlives its machines");
        if !workers.iter_mut().map(|worker| worker.work(&log, &topics)).fold(false, |any, did| any | did) {
            changes.changed().await.expect("the log outlives its machines");
        }
    }
}
