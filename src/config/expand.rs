//! `${NAME}` in the configuration: replaced by the environment before YAML is read.
//!
//! The value must not be able to change the structure of the file, so inside double quotes it is escaped
//! and elsewhere only harmless characters are let through.

use super::ConfigError;

/// Replaces every `${NAME}`; `$${` stands for a literal `${`. Comments are left alone.
///
/// # Errors
/// [`ConfigError::Place`] for a variable that is not set, a bad name, or a value that needs quotes.
pub(super) fn expand(path: &str, text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let mut rest = line;
        let mut quoted = false;
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            quoted ^= before.matches('"').count() % 2 == 1;
            let column = line.len() - rest.len() + at + 1;
            let refuse =
                |message: String| ConfigError::Place { path: path.to_owned(), line: number + 1, column, message };
            if is_comment(&line[..column - 1]) {
                break;
            }
            if let Some(before) = before.strip_suffix('$') {
                out += before;
                out += "${";
                rest = &after[2..];
                continue;
            }
            let Some((name, tail)) = after[2..].split_once('}') else {
                return Err(refuse("`${` without `}`; write `$${` for a literal one".to_owned()));
            };
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(refuse(format!("`{name}` is no name of an environment variable")));
            }
            let value = lookup(name).ok_or_else(|| refuse(format!("environment variable {name} is not set")))?;
            out += before;
            if quoted {
                let json = serde_json::to_string(&value).expect("text is JSON");
                out += &json[1..json.len() - 1];
            } else if value.bytes().all(harmless) {
                out += &value;
            } else {
                return Err(refuse(format!(
                    "the value of {name} holds special characters: write \"${{{name}}}\" in double quotes"
                )));
            }
            rest = tail;
        }
        out += rest;
    }
    Ok(out)
}

fn is_comment(before: &str) -> bool {
    before.trim_start().starts_with('#') || before.contains(" #")
}

fn harmless(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./+=@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "PLAIN" => Some("abc-1".to_owned()),
            "ODD" => Some("a\"b: #\n".to_owned()),
            _ => None,
        };
        expand("x.yaml", text, &lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn a_variable_becomes_its_value_and_cannot_break_out_of_its_quotes() {
        assert_eq!(
            expanded("a: ${PLAIN}\nb: \"x${ODD}y\" # ${NOT}\n").unwrap(),
            "a: abc-1\nb: \"xa\\\"b: #\\ny\" # ${NOT}\n"
        );
        assert_eq!(expanded("a: $${PLAIN}").unwrap(), "a: ${PLAIN}");
    }

    #[test]
    fn an_unset_variable_is_named_with_its_place() {
        assert_eq!(expanded("a: 1\nb: ${GONE}").unwrap_err(), "x.yaml:2:4: environment variable GONE is not set");
        assert!(expanded("a: ${ODD}").unwrap_err().contains("in double quotes"));
        assert!(expanded("a: ${ODD").unwrap_err().contains("without `}`"));
    }
}
