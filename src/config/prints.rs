//! Fingerprints of a configuration's parts: whether two files say the same, without comparing every setting.

use std::collections::BTreeMap;

/// What a part says, as a hash. That of nothing equals no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Print([u8; 32]);

/// The parts of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prints {
    sources: BTreeMap<String, Print>,
    /// All but the sources.
    pub rest: Print,
}

impl Print {
    fn of(value: &serde_json::Value) -> Self {
        Self::default().with(value.to_string().as_bytes())
    }

    /// This and more.
    pub(crate) fn with(self, more: &[u8]) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(&self.0).update(&(more.len() as u64).to_le_bytes()).update(more);
        Self(*hash.finalize().as_bytes())
    }
}

impl Prints {
    /// Of a text that is known to be a configuration.
    pub(super) fn of(text: &str) -> Self {
        let mut whole: serde_json::Value = yaml_serde::from_str(text).unwrap_or_default();
        let sources = whole.as_object_mut().and_then(|whole| whole.remove("sources"));
        let sources = sources.as_ref().and_then(serde_json::Value::as_object).into_iter().flatten();
        let sources = sources.map(|(name, source)| (name.clone(), Print::of(source))).collect();
        Self { sources, rest: Print::of(&whole) }
    }

    /// What the settings of this source say.
    pub(crate) fn source(&self, name: &str) -> Print {
        self.sources.get(name).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_another_only_if_it_says_something_else() {
        let one = Prints::of("sources:\n  a: {stdin: {}}\n  b: {http: {}}\ndata: /x\n");
        let same = Prints::of("data: /x\nsources: {b: {http: {}}, a: {stdin: {}}} # other words\n");
        let other = Prints::of("data: /x\nsources: {b: {http: {token: x}}, a: {stdin: {}}}\n");
        assert!(one.source("a") == same.source("a") && one.source("b") == same.source("b") && one.rest == same.rest);
        assert!(one.source("a") == other.source("a") && one.source("b") != other.source("b"));
        assert_eq!(one.source("c"), Print::default());
    }
}
