//! SigmaHQ's rules and regression data, from the archive in the shared folder.
//!
//! The archive is unpacked once into `target/` by the system's `tar`: a reader for `tar.xz` of our own would
//! be two more crates for one file. Nothing of it is ever copied into the project.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use engine::rule::RuleFile;
use serde_json::Value;

use crate::chance::Chance;
use crate::corpus::{ReadError, shared};

mod invented;
mod regression;

pub use invented::invented;
pub use regression::{Expectation, flatten};

/// The unpacked archive.
#[derive(Debug)]
pub struct SigmaHq {
    folder: PathBuf,
}

/// The archive cannot be unpacked or read.
#[derive(Debug, thiserror::Error)]
pub enum SigmaHqError {
    /// A file of it cannot be read.
    #[error("read SigmaHQ")]
    Read(#[from] ReadError),
    /// `tar` is missing, or does not know xz.
    #[error("unpack {archive}: {reason}; needs `tar` and `xz` (Debian: xz-utils)")]
    Unpack {
        /// The archive.
        archive: PathBuf,
        /// What `tar` says.
        reason: String,
    },
}

/// The folders of rules about clouds, identity providers and applications.
pub const CLOUD: &[&str] = &["rules/cloud", "rules/identity", "rules/application"];

/// The folder of all rules.
pub const ALL: &[&str] = &["rules"];

impl SigmaHq {
    /// The archive of the shared folder, unpacked; nothing if there is no shared folder.
    ///
    /// # Errors
    /// [`SigmaHqError`] if it is there and cannot be unpacked.
    pub fn open() -> Result<Option<Self>, SigmaHqError> {
        let Some(folder) = shared().map(|shared| shared.join("data/sigma")) else { return Ok(None) };
        let mut archives: Vec<PathBuf> = listed(&folder)?;
        archives.retain(|path| path.to_string_lossy().ends_with(".tar.xz"));
        archives.sort();
        archives.last().map(|archive| Self::unpack(archive)).transpose()
    }

    fn unpack(archive: &Path) -> Result<Self, SigmaHqError> {
        let name = archive.file_name().unwrap_or_default().to_string_lossy();
        let folder = built().join(name.trim_end_matches(".tar.xz"));
        if folder.is_dir() {
            return Ok(Self { folder });
        }
        // Aside and then renamed: whoever runs at the same time, tests of one process too, sees all of it or nothing.
        let aside = built().join(format!("{name}.{}.{:?}", std::process::id(), std::thread::current().id()));
        let refused = |reason: String| SigmaHqError::Unpack { archive: archive.to_owned(), reason };
        fs::create_dir_all(&aside).map_err(|error| refused(error.to_string()))?;
        let output = Command::new("tar").arg("-xJf").arg(archive).arg("-C").arg(&aside).output();
        let output = output.map_err(|error| refused(error.to_string()))?;
        if !output.status.success() {
            return Err(refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        if let Err(error) = fs::rename(&aside, &folder)
            && !folder.is_dir()
        {
            return Err(refused(error.to_string()));
        }
        // What another process was faster with stays aside; there is nothing to lose.
        drop(fs::remove_dir_all(&aside));
        Ok(Self { folder })
    }

    /// Every rule under these folders, by path from the archive's root.
    ///
    /// # Errors
    /// [`ReadError`] names the file.
    pub fn rules(&self, under: &[&str]) -> Result<Vec<RuleFile>, ReadError> {
        let mut rules = Vec::new();
        for folder in under {
            for path in files(&self.folder.join(folder))? {
                if path.extension().is_some_and(|extension| extension == "yml") {
                    let text = fs::read_to_string(&path).map_err(|source| ReadError { path: path.clone(), source })?;
                    rules.push(RuleFile { path: self.name(&path), text });
                }
            }
        }
        rules.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(rules)
    }

    fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.folder).unwrap_or(path).to_string_lossy().into_owned()
    }
}

/// `count` of the rules, picked by chance, in their order.
#[must_use]
pub fn some(rules: &[RuleFile], count: usize, seed: u64) -> Vec<RuleFile> {
    let mut chance = Chance::new(seed);
    let mut places: Vec<(u64, usize)> = (0..rules.len()).map(|place| (chance.number(), place)).collect();
    places.sort_unstable();
    let picked: BTreeSet<usize> = places.into_iter().take(count).map(|(_, place)| place).collect();
    picked.into_iter().map(|place| rules[place].clone()).collect()
}

/// A rule set like `rules`, and as large: other ids, and in each text that a rule looks for one letter is
/// another. Numbers and regular expressions stay. A rule that is no plain YAML is left out.
#[must_use]
pub fn altered(rules: &[RuleFile], seed: u64) -> Vec<RuleFile> {
    let mut chance = Chance::new(seed);
    let alter = |rule: &RuleFile| -> Option<RuleFile> {
        let mut document: Value = yaml_serde::from_str(&rule.text).ok()?;
        let id = format!("{:016x}{:016x}", chance.number(), chance.number());
        let cuts = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]];
        document["id"] = Value::String(cuts.join("-"));
        document["title"] = Value::String(format!("{} ({seed})", document["title"].as_str().unwrap_or_default()));
        for (name, searched) in document["detection"].as_object_mut()? {
            if name != "condition" {
                respell(searched, &mut chance);
            }
        }
        let text = yaml_serde::to_string(&document).ok()?;
        Some(RuleFile { path: format!("{seed}/{}", rule.path), text })
    };
    rules.iter().filter_map(alter).collect()
}

fn respell(searched: &mut Value, chance: &mut Chance) {
    /// Their texts are no literals.
    const LEFT: [&str; 5] = ["re", "cidr", "expand", "fieldref", "exists"];
    match searched {
        Value::String(text) => {
            let letters: Vec<usize> =
                text.match_indices(|letter: char| letter.is_ascii_lowercase()).map(|(at, _)| at).collect();
            if let Some(&at) = letters.get(usize::try_from(chance.below(letters.len() as u64)).unwrap_or(0)) {
                let turned = text.as_bytes()[at];
                let other = b'a' + (turned - b'a' + 1 + u8::try_from(chance.below(25)).unwrap_or(0)) % 26;
                text.replace_range(at..=at, char::from(other).encode_utf8(&mut [0; 4]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| respell(item, chance)),
        Value::Object(members) => {
            for (name, member) in members {
                if !name.split('|').skip(1).any(|modifier| LEFT.contains(&modifier)) {
                    respell(member, chance);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Where what is made of the shared data may lie: cargo's own folder, which is never committed.
#[must_use]
pub fn built() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    named.unwrap_or_else(|| Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")).to_owned())
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let refused = |source| ReadError { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(refused)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(refused)).collect()
}

/// All files under a folder, at any depth.
fn files(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in listed(&folder)? {
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(number: usize) -> RuleFile {
        let text = format!(
            "title: Rule {number}\nid: 00000000-0000-4000-8000-{number:012}\nlogsource: {{product: windows}}\n\
             detection:\n  selection:\n    Image|endswith: '\\whoami.exe'\n    Code: 4688\n    Line|re: 'a+b'\n  condition: selection\n"
        );
        RuleFile { path: format!("{number}.yml"), text }
    }

    #[test]
    fn equal_seeds_pick_equal_rules() {
        let rules: Vec<RuleFile> = (0..100).map(rule).collect();
        let paths = |seed| some(&rules, 10, seed).iter().map(|rule| rule.path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(1), paths(1));
        assert_ne!(paths(1), paths(2));
        assert_eq!(paths(3).len(), 10);
    }

    #[test]
    fn an_altered_copy_differs_in_its_texts_and_its_id_only() {
        let copies = altered(&[rule(7)], 2);
        let copy: Value = yaml_serde::from_str(&copies[0].text).unwrap();
        let selection = &copy["detection"]["selection"];
        let image = selection["Image|endswith"].as_str().unwrap();
        assert!(image != "\\whoami.exe" && image.len() == "\\whoami.exe".len(), "{image}");
        assert_eq!((selection["Code"].as_u64(), selection["Line|re"].as_str()), (Some(4688), Some("a+b")));
        assert_ne!(copy["id"], "00000000-0000-4000-8000-000000000007");
        assert_eq!(copy["detection"]["condition"], "selection");
    }
}
