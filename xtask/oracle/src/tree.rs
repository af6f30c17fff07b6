//! What `tshark -T json` prints: trees whose keys come in the packet's order, and
//! more than once where the packet has a field more than once. A map would lose
//! both.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// Fields and subtrees by their names, in order.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Tree(Vec<(String, Node)>);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Leaf(String),
    Tree(Tree),
}

impl Tree {
    /// The first field of this name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    /// The fields of this name.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(move |(key, node)| match node {
            Node::Leaf(text) if key == name => Some(text.as_str()),
            _ => None,
        })
    }

    /// The first field of this name, which is a number in decimal or hexadecimal.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let text = self.text(name)?;
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    }

    /// The first subtree of this name.
    pub(super) fn tree(&self, name: &str) -> Option<&Tree> {
        self.trees(name).next()
    }

    /// The subtrees of this name.
    pub(super) fn trees(&self, name: &str) -> impl Iterator<Item = &Tree> {
        self.subtrees()
            .filter_map(move |(key, tree)| (key == name).then_some(tree))
    }

    /// All subtrees with their names.
    pub(super) fn subtrees(&self) -> impl Iterator<Item = (&str, &Tree)> {
        self.0.iter().filter_map(|(key, node)| match node {
            Node::Tree(tree) => Some((key.as_str(), tree)),
            Node::Leaf(_) => None,
        })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Node::deserialize(deserializer)? {
            Node::Tree(tree) => Ok(tree),
            Node::Leaf(text) => Err(D::Error::custom(format!("{text:?} where a tree should be"))),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nodes;

        impl<'de> Visitor<'de> for Nodes {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an object")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Leaf(text.to_owned()))
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Node, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Node::Tree(Tree(entries)))
            }
        }

        deserializer.deserialize_any(Nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_are_kept() {
        let tree: Tree = serde_json::from_str(
            r#"{"z": "0x10", "a": {"n": "1"}, "z": "17", "a": {"n": "2"}, "b": {}}"#,
        )
        .unwrap();
        assert_eq!(tree.texts("z").collect::<Vec<_>>(), ["0x10", "17"]);
        assert_eq!(tree.number("z"), Some(16));
        let numbers: Vec<_> = tree.trees("a").map(|tree| tree.number("n")).collect();
        assert_eq!(numbers, [Some(1), Some(2)]);
        let names: Vec<_> = tree.subtrees().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "a", "b"]);
        assert_eq!(tree.text("a"), None);
    }
}
