//! The smallest database in MaxMind's format that holds some networks: for tests, which download nothing.
//!
//! <https://maxmind.github.io/MaxMind-DB/>: a binary tree over the bits of an address, sixteen zeros, the entries, and behind a
//! mark what the database is.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

/// Bits of a pointer in the tree.
const POINTER_BITS: u16 = 32;

/// Where a branch leads.
#[derive(Clone, Copy)]
enum Branch {
    Nowhere,
    Node(usize),
    /// The entry that begins there.
    Entry(usize),
}

/// A database of these networks, none of which lies in another.
pub(crate) fn database(sort: &str, networks: &[(&str, Value)]) -> Vec<u8> {
    let (mut nodes, mut entries) = (vec![[Branch::Nowhere; 2]], Vec::new());
    for (network, value) in networks {
        let begin = entries.len();
        encode("", value, &mut entries);
        let (bits, length) = match network.parse::<IpNet>().unwrap() {
            IpNet::V4(net) => (u128::from(net.network().to_bits()), net.prefix_len() + 96),
            IpNet::V6(net) => (net.network().to_bits(), net.prefix_len()),
        };
        let mut node = 0;
        for depth in 0..length {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == length {
                nodes[node][side] = Branch::Entry(begin);
                continue;
            }
            node = match nodes[node][side] {
                Branch::Node(next) => next,
                Branch::Nowhere | Branch::Entry(_) => {
                    nodes.push([Branch::Nowhere; 2]);
                    let next = nodes.len() - 1;
                    nodes[node][side] = Branch::Node(next);
                    next
                }
            };
        }
    }
    let mut bytes = Vec::new();
    for branch in nodes.iter().flatten() {
        let pointer = match *branch {
            Branch::Nowhere => nodes.len(),
            Branch::Node(node) => node,
            Branch::Entry(begin) => nodes.len() + 16 + begin,
        };
        bytes.extend(u32::try_from(pointer).unwrap().to_be_bytes());
    }
    bytes.extend([0; 16]);
    bytes.extend(entries);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    let about = json!({
        "node_count": nodes.len(), "record_size": POINTER_BITS, "ip_version": 6, "database_type": sort, "languages": ["en"],
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1_700_000_000, "description": {},
    });
    encode("", &about, &mut bytes);
    bytes
}

/// An address that is in a network, for those who look it up.
pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A member of this name. Readers insist on the very type of a number.
fn encode(name: &str, value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            control(2, text.len(), bytes);
            bytes.extend(text.as_bytes());
        }
        Value::Number(number) => match number.as_u64() {
            Some(whole) => {
                let digits = whole.to_be_bytes();
                let used = &digits[digits.iter().take_while(|byte| **byte == 0).count()..];
                let sort = match name {
                    "build_epoch" => 9,
                    "record_size" | "ip_version" => 5,
                    name if name.starts_with("binary_format") => 5,
                    _ => 6,
                };
                control(sort, used.len(), bytes);
                bytes.extend(used);
            }
            None => {
                control(3, 8, bytes);
                bytes.extend(number.as_f64().unwrap().to_be_bytes());
            }
        },
        Value::Object(members) => {
            control(7, members.len(), bytes);
            for (name, member) in members {
                encode("", &Value::String(name.clone()), bytes);
                encode(name, member, bytes);
            }
        }
        Value::Array(elements) => {
            control(11, elements.len(), bytes);
            elements.iter().for_each(|element| encode(name, element, bytes));
        }
        Value::Null | Value::Bool(_) => unimplemented!("no entry holds one"),
    }
}

/// Type and size; sorts beyond seven have a byte of their own.
fn control(sort: u8, size: usize, bytes: &mut Vec<u8>) {
    let (short, more) = match size {
        0..29 => (u8::try_from(size).unwrap(), None),
        29..285 => (29, Some(u8::try_from(size - 29).unwrap())),
        _ => unimplemented!("no text is that long"),
    };
    match sort.checked_sub(7).filter(|beyond| *beyond > 0) {
        None => bytes.push(sort << 5 | short),
        Some(beyond) => bytes.extend([short, beyond]),
    }
    bytes.extend(more);
}
