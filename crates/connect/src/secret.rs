//! Secrets of sources and sinks: read from a setting or from a file, and never printed.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A secret as the configuration gives it: its text, or `{file: path}`.
///
/// ```
/// let inline: connect::secret::Secret = serde_json::from_str(r#""open sesame""#).unwrap();
/// assert_eq!(inline.read().unwrap().expose(), "open sesame");
/// assert!(!format!("{inline:?}").contains("sesame"));
/// ```
#[derive(Clone, Debug)]
pub struct Secret(Place);

#[derive(Clone, Debug)]
enum Place {
    Text(Plain),
    File(PathBuf),
}

/// The text of a secret. Only [`Plain::expose`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Plain(String);

/// Why a secret could not be had. Never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is not there, or not ours to read.
    #[error("read secret file {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Nothing in it, such as an environment variable that is set but empty.
    #[error("the secret is empty")]
    Empty,
}

impl Secret {
    /// From text that somebody else has read.
    #[must_use]
    pub fn from_text(text: String) -> Self {
        Self(Place::Text(Plain(text)))
    }

    /// The file that it stands in, if it does.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Place::Text(_) => None,
            Place::File(path) => Some(path),
        }
    }

    /// The text. A file is read anew on each call and loses the line end that editors leave behind.
    ///
    /// # Errors
    /// [`SecretError`] if the file cannot be read or there is nothing in it.
    pub fn read(&self) -> Result<Plain, SecretError> {
        let text = match &self.0 {
            Place::Text(plain) => plain.0.clone(),
            Place::File(path) => std::fs::read_to_string(path)
                .map_err(|source| SecretError::Read { path: path.clone(), source })?
                .trim_end_matches(['\r', '\n'])
                .to_owned(),
        };
        if text.is_empty() { Err(SecretError::Empty) } else { Ok(Plain(text)) }
    }
}

impl Plain {
    /// The secret itself, for the place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[secret]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsWritten)
    }
}

/// Takes text or `{file: path}`. Written by hand because the usual errors quote the value that they refuse,
/// and an unquoted secret of digits alone is a number to YAML.
struct AsWritten;

const EXPECTED: &str = "a secret is text (in quotes if it looks like a number) or `{file: path}`";

impl<'de> Visitor<'de> for AsWritten {
    type Value = Secret;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::from_text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        let Some((key, path)) = map.next_entry::<String, PathBuf>()? else { return Err(A::Error::custom(EXPECTED)) };
        if key != "file" {
            return Err(A::Error::unknown_field(&key, &["file"]));
        }
        match map.next_key::<String>()? {
            Some(other) => Err(A::Error::unknown_field(&other, &["file"])),
            None => Ok(Secret(Place::File(path))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_text_or_stands_in_a_file_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "open sesame \n").unwrap();
        let filed: Secret = serde_json::from_value(serde_json::json!({"file": path})).unwrap();
        assert_eq!(filed.read().unwrap().expose(), "open sesame ");
        assert_eq!(filed.file(), Some(path.as_path()));
    }

    #[test]
    fn a_missing_file_is_named_and_an_empty_secret_is_none() {
        let missing: Secret = serde_json::from_str(r#"{"file":"/nowhere/token"}"#).unwrap();
        assert_eq!(missing.read().unwrap_err().to_string(), "read secret file /nowhere/token");
        assert!(matches!(Secret::from_text(String::new()).read(), Err(SecretError::Empty)));
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_quoted() {
        for wrong in ["8675309", "-8675309", "8675309.5", "86753098675309867530986753098675309", "true", "{}"] {
            let error = serde_json::from_str::<Secret>(wrong).unwrap_err().to_string();
            assert!(error.contains("a secret is text") && !error.contains("8675309"), "{wrong}: {error}");
        }
        assert!(serde_json::from_str::<Secret>(r#"{"path":"/x"}"#).unwrap_err().to_string().contains("`path`"));
        assert!(serde_json::from_str::<Secret>(r#"{"file":"/x","mode":"r"}"#).is_err());
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::from_text("open sesame".to_owned());
        assert_eq!(format!("{:?}", secret.read().unwrap()), "[secret]");
        assert!(!format!("{secret:?}").contains("sesame"));
    }
}
