//! Cycles in a directed graph: strongly connected components by Tarjan's algorithm (1972), without recursion.

/// Edges between numbered nodes.
#[derive(Debug, Default)]
pub struct Graph {
    edges: Vec<(u32, u32)>,
}

/// A node's place in the search.
struct Frame {
    node: u32,
    next_edge: u32,
}

const UNSEEN: u32 = u32::MAX;

impl Graph {
    /// Adds an edge; one from a node to itself is none.
    pub fn add(&mut self, from: u32, to: u32) {
        if from != to && self.edges.last() != Some(&(from, to)) {
            self.edges.push((from, to));
        }
    }

    /// How many edges.
    pub fn edges(&self) -> &[(u32, u32)] {
        &self.edges
    }

    /// Components of more than one node among `nodes` nodes: each with its nodes in ascending order, by their first node.
    pub fn cycles(&mut self, nodes: usize) -> Vec<Vec<u32>> {
        self.edges.sort_unstable();
        self.edges.dedup();
        let mut starts = vec![0_u32; nodes + 1];
        for (from, _) in &self.edges {
            starts[*from as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut search =
            Search { edges: &self.edges, starts: &starts, index: vec![UNSEEN; nodes], low: vec![0; nodes], on_stack: vec![false; nodes], ..Search::default() };
        for node in 0..nodes as u32 {
            // A node without an edge out is in no cycle.
            if search.index[node as usize] == UNSEEN && starts[node as usize] < starts[node as usize + 1] {
                search.from(node);
            }
        }
        search.components.sort_unstable();
        search.components
    }
}

#[derive(Default)]
struct Search<'a> {
    edges: &'a [(u32, u32)],
    starts: &'a [u32],
    index: Vec<u32>,
    low: Vec<u32>,
    on_stack: Vec<bool>,
    stack: Vec<u32>,
    next: u32,
    components: Vec<Vec<u32>>,
}

impl Search<'_> {
    fn from(&mut self, root: u32) {
        let mut path = vec![self.enter(root)];
        while let Some(frame) = path.last_mut() {
            let node = frame.node;
            if frame.next_edge < self.starts[node as usize + 1] {
                let (_, to) = self.edges[frame.next_edge as usize];
                frame.next_edge += 1;
                if self.index[to as usize] == UNSEEN {
                    path.push(self.enter(to));
                } else if self.on_stack[to as usize] {
                    self.low[node as usize] = self.low[node as usize].min(self.index[to as usize]);
                }
                continue;
            }
            path.pop();
            if let Some(parent) = path.last() {
                self.low[parent.node as usize] = self.low[parent.node as usize].min(self.low[node as usize]);
            }
            if self.low[node as usize] == self.index[node as usize] {
                self.close(node);
            }
        }
    }

    fn enter(&mut self, node: u32) -> Frame {
        self.index[node as usize] = self.next;
        self.low[node as usize] = self.next;
        self.next += 1;
        self.on_stack[node as usize] = true;
        self.stack.push(node);
        Frame { node, next_edge: self.starts[node as usize] }
    }

    fn close(&mut self, root: u32) {
        let at = self.stack.iter().rposition(|node| *node == root).expect("a root is on the stack until its component is closed");
        for node in &self.stack[at..] {
            self.on_stack[*node as usize] = false;
        }
        let mut component = self.stack.split_off(at);
        if component.len() > 1 {
            component.sort_unstable();
            self.components.push(component);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::rng::Rng;

    fn graph(edges: &[(u32, u32)]) -> Graph {
        let mut graph = Graph::default();
        edges.iter().for_each(|(from, to)| graph.add(*from, *to));
        graph
    }

    #[test]
    fn finds_cycles_and_nothing_else() {
        assert_eq!(graph(&[(0, 1), (1, 2), (0, 2), (2, 2)]).cycles(3), Vec::<Vec<u32>>::new());
        assert_eq!(graph(&[(0, 1), (1, 2), (2, 0), (2, 3), (4, 3), (3, 4), (5, 0)]).cycles(6), vec![vec![0, 1, 2], vec![3, 4]]);
    }

    #[test]
    fn agrees_with_reachability_on_random_graphs() {
        for seed in 0..200 {
            let mut rng = Rng::keyed(seed, &["cycles"]);
            let nodes = rng.range(2..12);
            let edges: Vec<(u32, u32)> = (0..rng.range(1..24)).map(|_| (rng.below(nodes) as u32, rng.below(nodes) as u32)).collect();
            let mut reach = vec![vec![false; nodes as usize]; nodes as usize];
            edges.iter().filter(|(from, to)| from != to).for_each(|(from, to)| reach[*from as usize][*to as usize] = true);
            for via in 0..nodes as usize {
                for from in 0..nodes as usize {
                    for to in 0..nodes as usize {
                        reach[from][to] |= reach[from][via] && reach[via][to];
                    }
                }
            }
            let in_cycle: Vec<u32> = (0..nodes as u32).filter(|node| reach[*node as usize][*node as usize]).collect();
            let mut found: Vec<u32> = graph(&edges).cycles(nodes as usize).concat();
            found.sort_unstable();
            assert_eq!(found, in_cycle, "seed {seed}: {edges:?}");
        }
    }

    #[test]
    fn a_long_path_needs_no_deep_stack() {
        let mut edges: Vec<(u32, u32)> = (0..1_000_000).map(|node| (node, node + 1)).collect();
        edges.push((1_000_000, 0));
        assert_eq!(graph(&edges).cycles(1_000_001).len(), 1);
    }
}
