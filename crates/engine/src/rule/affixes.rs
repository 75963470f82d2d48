//! Thousands of literals with which a text may begin or end, as a tree.
//!
//! A node holds all that its literals have in common, so a path such as `c:\windows\system32\` is one comparison and
//! not twenty steps, each of which waits for the one before it.

use super::column::Atom;

/// At which end of a text the literals stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Start,
    End,
}

/// Literals, ready to be found at one end of a text.
#[derive(Debug)]
pub(super) struct Affixes {
    edge: Edge,
    /// The first is the root; there is none without literals.
    nodes: Vec<Node>,
    /// What the nodes hold, one behind the other.
    labels: Vec<u8>,
    /// The bytes that lead on from each node, and where to.
    bytes: Vec<u8>,
    children: Vec<u32>,
}

#[derive(Debug)]
struct Node {
    /// What is next in all literals from here on, in the order of the text: from where to where in `labels`.
    label: (u32, u32),
    /// What leads on from here: from where to where in `bytes` and `children`.
    next: (u32, u32),
    /// The literal that ends here.
    atom: Option<Atom>,
}

/// A literal from the edge inwards.
type Inwards = (Vec<u8>, Atom);

/// A node to be made: its literals, sorted, and how many bytes of these lead to it.
#[derive(Clone, Copy)]
struct Branch<'l> {
    literals: &'l [Inwards],
    depth: usize,
}

impl Affixes {
    pub(super) fn new(edge: Edge, literals: &[(&str, Atom)]) -> Self {
        let inwards = |text: &str| -> Vec<u8> {
            match edge {
                Edge::Start => text.bytes().collect(),
                Edge::End => text.bytes().rev().collect(),
            }
        };
        let mut literals: Vec<Inwards> = literals.iter().map(|(text, atom)| (inwards(text), *atom)).collect();
        literals.sort_unstable();
        let mut affixes = Self { edge, nodes: Vec::new(), labels: Vec::new(), bytes: Vec::new(), children: Vec::new() };
        // In the order of the places that their nodes will have.
        let mut branches = vec![Branch { literals: &literals, depth: 0 }];
        branches.retain(|root| !root.literals.is_empty());
        let mut place = 0;
        while let Some(branch) = branches.get(place).copied() {
            place += 1;
            affixes.add(branch, &mut branches);
        }
        affixes
    }

    /// Adds the node of a branch, and to the list what branches off from it.
    fn add<'l>(&mut self, Branch { mut literals, depth }: Branch<'l>, branches: &mut Vec<Branch<'l>>) {
        let (first, last) = (&literals[0].0, &literals[literals.len() - 1].0);
        // What the first and the last of a sorted list share, all share.
        let shared = first[depth..].iter().zip(&last[depth..]).take_while(|(left, right)| left == right).count();
        let end = depth + shared;
        let start = self.labels.len();
        self.labels.extend_from_slice(&first[depth..end]);
        if self.edge == Edge::End {
            self.labels[start..].reverse();
        }
        let atom = (first.len() == end).then_some(literals[0].1);
        literals = &literals[usize::from(atom.is_some())..];
        let next = number(self.bytes.len());
        for group in literals.chunk_by(|(left, _), (right, _)| left[end] == right[end]) {
            self.bytes.push(group[0].0[end]);
            self.children.push(number(branches.len()));
            branches.push(Branch { literals: group, depth: end + 1 });
        }
        self.nodes.push(Node {
            label: (number(start), number(self.labels.len())),
            next: (next, number(self.bytes.len())),
            atom,
        });
    }

    /// Tells every literal with which the text begins or ends.
    pub(super) fn scan(&self, text: &[u8], mut hit: impl FnMut(Atom)) {
        let mut rest = text;
        let mut place = 0;
        while let Some(node) = self.nodes.get(place) {
            let label = &self.labels[node.label.0 as usize..node.label.1 as usize];
            let Some(behind) = self.edge.strip(rest, label) else { return };
            node.atom.into_iter().for_each(&mut hit);
            let Some((byte, behind)) = self.edge.split(behind) else { return };
            let next = node.next.0 as usize..node.next.1 as usize;
            let Some(child) = self.bytes[next.clone()].iter().position(|next| *next == byte) else { return };
            place = self.children[next.start + child] as usize;
            rest = behind;
        }
    }
}

impl Edge {
    fn strip<'t>(self, text: &'t [u8], label: &[u8]) -> Option<&'t [u8]> {
        match self {
            Self::Start => text.strip_prefix(label),
            Self::End => text.strip_suffix(label),
        }
    }

    fn split(self, text: &[u8]) -> Option<(u8, &[u8])> {
        match self {
            Self::Start => text.split_first(),
            Self::End => text.split_last(),
        }
        .map(|(byte, rest)| (*byte, rest))
    }
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("fewer than 2^32 bytes of literals fit into memory")
}
