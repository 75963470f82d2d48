//! Just enough of Rust's grammar to count lines and find names: no parser, no dependency.

/// `source` with the insides of comments, strings and characters blanked: same lines, same columns.
///
/// What is left can be searched for braces and words without being misled by text that only looks like code.
pub(crate) fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < bytes.len() {
        let length = opaque(&bytes[at..], at.checked_sub(1).map(|before| bytes[before]));
        if length == 0 {
            code.push(if bytes[at].is_ascii() { bytes[at] as char } else { ' ' });
            at += 1;
        } else {
            let blank = |&byte: &u8| if byte == b'\n' { '\n' } else { ' ' };
            code.extend(bytes[at..at + length].iter().map(blank));
            at += length;
        }
    }
    code
}

/// How many bytes from here on are one comment, string or character; 0 if it is code. `before` is the byte ahead.
fn opaque(text: &[u8], before: Option<u8>) -> usize {
    let in_word = before.is_some_and(is_word);
    match text {
        [b'/', b'/', ..] => position(text, b"\n").unwrap_or(text.len()),
        [b'/', b'*', ..] => block_comment(text),
        [b'"', ..] => quoted(text),
        [b'r', b'"' | b'#', ..] if !in_word => raw_string(text, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => raw_string(text, 2),
        [b'\'', b'\\', ..] => 3 + position(&text[3..], b"'").map_or(0, |end| end + 1),
        // A lifetime has no closing quote right after its first letter.
        [b'\'', ..] => character(text),
        _ => 0,
    }
}

fn block_comment(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let step = match &text[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`, `br##"…"##`; a raw identifier such as `r#type` is code.
fn raw_string(text: &[u8], prefix: usize) -> usize {
    let hashes = text[prefix..].iter().take_while(|&&byte| byte == b'#').count();
    let open = prefix + hashes;
    if text.get(open) != Some(&b'"') {
        return 0;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    position(&text[open + 1..], &close).map_or(text.len(), |end| open + 1 + end + close.len())
}

fn character(text: &[u8]) -> usize {
    let width = match text.get(1) {
        Some(0xF0..) => 4,
        Some(0xE0..) => 3,
        Some(0xC0..) => 2,
        Some(_) => 1,
        None => return 0,
    };
    if text.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The words of one line of code, each with its column.
pub(crate) fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - line.as_ptr() as usize, word))
}

/// A function with a body: its name, the line of its `fn` (from 1) and how many lines it takes.
#[derive(Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) length: usize,
}

/// All functions with a body in `code` (the result of [`code_only`]), nested ones and tests included.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let mut names = words(line).skip_while(|(_, word)| *word != "fn");
        // `fn(u8) -> u8` is a type: a name stands on the same line in formatted code.
        let (Some((column, _)), Some((_, name))) = (names.next(), names.next()) else { continue };
        if line[column + 2..].trim_start().starts_with('(') {
            continue;
        }
        if let Some(length) = body_lines(&lines[index..], column) {
            found.push(Function { name: name.to_owned(), line: index + 1, length });
        }
    }
    found
}

/// Lines from the first to the one with the closing brace; nothing if a `;` ends it first (a trait's method).
fn body_lines(lines: &[&str], start: usize) -> Option<usize> {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for (index, line) in lines.iter().enumerate() {
        let from = if index == 0 { start } else { 0 };
        for byte in line.as_bytes()[from..].iter() {
            match byte {
                b'(' | b'[' => brackets += 1,
                b')' | b']' => brackets = brackets.saturating_sub(1),
                b';' if braces == 0 && brackets == 0 => return None,
                b'{' => braces += 1,
                b'}' if braces <= 1 => return Some(index + 1),
                b'}' => braces -= 1,
                _ => {}
            }
        }
    }
    None
}

#[test]
fn braces_in_strings_characters_and_comments_do_not_count() {
    let source =
        "fn a<'x>() { // {\n  let s = \"{\\\"\"; let r = r#\"{\"}\"#; let c = '{'; let d = '\\'';\n/* { /* { */ */ }\n";
    let found = functions(&code_only(source));
    assert_eq!(found, [Function { name: "a".into(), line: 1, length: 3 }]);
}

#[test]
fn a_function_counts_from_its_first_line_to_its_closing_brace() {
    let source =
        "trait T {\n    fn none(&self, a: [u8; 2]);\n}\n\nfn long(\n    a: fn(u8) -> u8,\n) {\n    if x {\n    }\n}\n";
    assert_eq!(functions(&code_only(source)), [Function { name: "long".into(), line: 5, length: 6 }]);
}
