//! Who there is to hit, and by which timers they live.

/// A consumer group of services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Nodes that run from the start.
    pub members: Vec<String>,
    /// Nodes that may join later.
    pub spares: Vec<String>,
}

/// What a fault may choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terrain {
    /// The controller, or the voters of its quorum; with one node, that node.
    pub controllers: Vec<String>,
    /// Brokers.
    pub brokers: Vec<String>,
    /// Groups of services.
    pub groups: Vec<Group>,
    /// Every service, the edges included.
    pub services: Vec<String>,
    /// Services that users connect to.
    pub edges: Vec<String>,
    /// Users.
    pub clients: Vec<String>,
    /// One node whose log counts only what is synced (any power loss is within the model), or replicas without fsync.
    pub fsync_always: bool,
    /// Configured timers in ms, by name: pauses and outages are aligned to them.
    pub timers_ms: Vec<(String, u64)>,
    /// The length of the faulty phase, ms.
    pub span_ms: u64,
}

impl Terrain {
    /// A configured timer, if there is one of that name.
    pub fn timer_ms(&self, name: &str) -> Option<u64> {
        self.timers_ms.iter().find(|(timer, _)| timer == name).map(|(_, ms)| *ms)
    }

    /// Brokers and controllers.
    pub fn servers(&self) -> Vec<String> {
        let mut servers = self.brokers.clone();
        servers.extend(self.controllers.iter().filter(|node| !self.brokers.contains(node)).cloned());
        servers
    }

    /// Everybody who talks to a broker.
    pub fn everybody(&self) -> Vec<String> {
        self.servers().into_iter().chain(self.services.iter().cloned()).collect()
    }

    /// Groups with at least two members, or a spare.
    pub fn movable_groups(&self) -> Vec<&Group> {
        self.groups.iter().filter(|group| group.members.len() + group.spares.len() >= 2).collect()
    }
}

#[cfg(test)]
impl Terrain {
    /// Three brokers and one group, for tests.
    pub fn small() -> Self {
        let names = |of: &str, count: u32| (1..=count).map(|n| format!("{of}-{n}")).collect::<Vec<_>>();
        Terrain {
            controllers: vec!["controller".to_owned()],
            brokers: names("broker", 3),
            groups: vec![Group { name: "account".to_owned(), members: names("account", 2), spares: vec!["account-3".to_owned()] }],
            services: names("account", 2).into_iter().chain(names("api_gateway", 2)).collect(),
            edges: names("api_gateway", 2),
            clients: names("client", 3),
            fsync_always: false,
            timers_ms: vec![("session".to_owned(), 6_000), ("replica_lag".to_owned(), 3_000)],
            span_ms: 120_000,
        }
    }

    /// One synced node, for tests.
    pub fn single() -> Self {
        Terrain { controllers: vec!["broker-1".to_owned()], brokers: vec!["broker-1".to_owned()], fsync_always: true, ..Terrain::small() }
    }
}
