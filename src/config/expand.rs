//! `${NAME}` in the configuration: replaced by the environment before YAML is read.
//!
//! The value must not be able to change the structure of the file, so inside double quotes it is escaped
//! and elsewhere only harmless characters are let through.

use super::ConfigError;

/// What YAML takes the text at hand for. Quotes go on over the end of a line, comments do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Plain,
    Single,
    Double,
    Comment,
}

/// Replaces every `${NAME}`; `$${` stands for a literal `${`. Comments are left alone.
///
/// # Errors
/// [`ConfigError::Place`] for a variable that is not set, a bad name, or a value that needs quotes.
pub(super) fn expand(path: &str, text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
    let mut out = String::with_capacity(text.len());
    let mut within = Within::Plain;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let mut rest = line;
        while let Some(letter) = rest.chars().next() {
            if within != Within::Comment && rest.starts_with("${") {
                let (value, length) = variable(rest, within, lookup).map_err(|message| ConfigError::Place {
                    path: path.to_owned(),
                    line: number + 1,
                    column: line.len() - rest.len() + 1,
                    message,
                })?;
                out += &value;
                rest = &rest[length..];
                continue;
            }
            let length = step(&line[..line.len() - rest.len()], rest, letter, &mut within);
            let taken = &rest[..length];
            out += if taken == "$${" { "${" } else { taken };
            rest = &rest[length..];
        }
        if within == Within::Comment {
            within = Within::Plain;
        }
    }
    Ok(out)
}

/// Goes on by one letter, or by letters that belong together; answers how many bytes that is.
fn step(ahead: &str, rest: &str, letter: char, within: &mut Within) -> usize {
    let one = letter.len_utf8();
    let pair = one + rest[one..].chars().next().map_or(0, char::len_utf8);
    // Elsewhere a quote or a number sign is a letter like any other, as in `don't` and `a#b`.
    let alone = ahead.is_empty() || ahead.ends_with(char::is_whitespace);
    let token = ahead.trim_end();
    let begins = token.is_empty() || token.ends_with(['[', '{', ',', ':']) || (alone && token.ends_with('-'));
    match (*within, letter) {
        (Within::Comment, _) => return rest.len(),
        (_, '$') if rest.starts_with("$${") => return 3,
        (Within::Plain, '#') if alone => *within = Within::Comment,
        (Within::Plain, '"') if begins => *within = Within::Double,
        (Within::Plain, '\'') if begins => *within = Within::Single,
        (Within::Double, '\\') => return pair,
        (Within::Single, '\'') if rest.starts_with("''") => return pair,
        (Within::Double, '"') | (Within::Single, '\'') => *within = Within::Plain,
        (Within::Plain | Within::Single | Within::Double, _) => {}
    }
    one
}

/// The value of the variable that `rest` begins with, as it may stand there, and the length of its name.
fn variable(rest: &str, within: Within, lookup: &dyn Fn(&str) -> Option<String>) -> Result<(String, usize), String> {
    let name = rest[2..].split_once('}').map(|(name, _)| name);
    let name = name.ok_or_else(|| "`${` without `}`; write `$${` for a literal one".to_owned())?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(format!("`{name}` is no name of an environment variable"));
    }
    let value = lookup(name).ok_or_else(|| format!("environment variable {name} is not set"))?;
    let length = "${}".len() + name.len();
    if within == Within::Double {
        let json = serde_json::to_string(&value).expect("text is JSON");
        return Ok((json[1..json.len() - 1].to_owned(), length));
    }
    if value.bytes().all(harmless) {
        return Ok((value, length));
    }
    Err(format!("the value of {name} holds special characters: write \"${{{name}}}\" in double quotes"))
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
    fn a_number_sign_is_a_comment_only_where_yaml_says_so() {
        for (text, written) in [
            ("a: \"team #1 ${PLAIN}\"", "a: \"team #1 abc-1\""),
            ("a: 'team #1 ${PLAIN}'", "a: 'team #1 abc-1'"),
            ("a: 'it''s #1 ${PLAIN}'", "a: 'it''s #1 abc-1'"),
            ("a: \"say \\\" #1 ${PLAIN}\"", "a: \"say \\\" #1 abc-1\""),
            ("a: \"two\n lines #1 ${PLAIN}\"", "a: \"two\n lines #1 abc-1\""),
            ("a: {b: \"x\", c: [\"#1 ${PLAIN}\"]} # ${NOT}", "a: {b: \"x\", c: [\"#1 abc-1\"]} # ${NOT}"),
            ("- \"#1 ${PLAIN}\"", "- \"#1 abc-1\""),
            ("a: say \"hi # ${NOT}\nb: ${PLAIN}", "a: say \"hi # ${NOT}\nb: abc-1"),
            ("a: don't # ${NOT}", "a: don't # ${NOT}"),
            ("a: x#${PLAIN}", "a: x#abc-1"),
            ("# it's \"${NOT}\nb: ${PLAIN}", "# it's \"${NOT}\nb: abc-1"),
            ("a: \"\" # ${NOT}", "a: \"\" # ${NOT}"),
            ("a: '' # ${NOT}", "a: '' # ${NOT}"),
            ("ü: \"ü\\ü ${PLAIN}\"", "ü: \"ü\\ü abc-1\""),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(written), "{text}");
        }
    }

    #[test]
    fn a_value_with_special_characters_stands_in_double_quotes_or_not_at_all() {
        for text in ["a: ${ODD}", "a: '${ODD}'", "a: \"x\" ${ODD}", "a: don\"t ${ODD}"] {
            assert!(expanded(text).unwrap_err().contains("in double quotes"), "{text}");
        }
    }

    #[test]
    fn an_unset_variable_is_named_with_its_place() {
        assert_eq!(expanded("a: 1\nb: ${GONE}").unwrap_err(), "x.yaml:2:4: environment variable GONE is not set");
        assert!(expanded("a: ${ODD").unwrap_err().contains("without `}`"));
    }
}
