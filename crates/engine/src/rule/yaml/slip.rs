//! What people most often do wrong in YAML, in words that say how to mend it.

/// The words for what the parser gave up at in this line of a text, if it is one of the usual slips. So many lines of
/// the file stand before the text.
pub(super) fn words(text: &str, at: usize, lines_before: usize, info: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let line = *lines.get(at - 1)?;
    if info.contains("tabs disallowed") {
        return Some("a tab stands where only blanks may; indent with blanks".to_owned());
    }
    if info.contains("valid YAML whitespace") && line.contains(":\t") {
        return Some("a tab stands after the colon; write a blank".to_owned());
    }
    if info.contains("quoted scalar") {
        let open = lines.get(..at)?.iter().rposition(|line| is_open(line))?;
        return Some(format!("the quote that begins in line {} is not closed", lines_before + open + 1));
    }
    let value = value(line);
    if let Some(first @ ('*' | '%' | '@' | '`' | '&' | '!')) = value.chars().next() {
        return Some(format!("a value that begins with `{first}` stands in quotes; write {}", quoted(value)));
    }
    if info.contains("mapping values are not allowed") && value.contains(": ") {
        return Some(format!("a value with `: ` in it stands in quotes; write {}", quoted(value)));
    }
    indentation(&lines, at, lines_before, info)
}

/// Lines that belong together and do not stand below each other.
fn indentation(lines: &[&str], at: usize, lines_before: usize, info: &str) -> Option<String> {
    let misplaced = ["mapping values are not allowed", "did not find expected key", "did not find expected '-'"];
    if !misplaced.iter().any(|words| info.contains(words)) {
        return None;
    }
    let here = indent(lines.get(at - 1)?);
    let before = (0..at - 1).rev().find(|&line| !is_blank(lines[line]))?;
    let last = indent(lines[before]);
    if here > last {
        return Some(format!(
            "line {} is indented by {here} blanks and line {} before it by {last}; line up what belongs together",
            lines_before + at,
            lines_before + before + 1
        ));
    }
    // What the line before it stands in, from the inside out.
    let mut levels = vec![last];
    for line in lines[..before].iter().rev().filter(|line| !is_blank(line)) {
        if indent(line) < *levels.last()? {
            levels.push(indent(line));
        }
    }
    let under = levels.iter().copied().find(|&level| level < here)?;
    let over = levels.iter().copied().filter(|&level| level > here).min()?;
    Some(format!(
        "line {} is indented by {here} blanks, and the lines before it that it could belong with by {under} or {over}",
        lines_before + at
    ))
}

/// What stands after a line's dash and key.
fn value(line: &str) -> &str {
    let line = line.trim();
    let line = line.strip_prefix("- ").map_or(line, str::trim_start);
    let begins_with_value = line.starts_with(['*', '%', '@', '`', '&', '!', '\'', '"', '[', '{']);
    match line.split_once(": ") {
        Some((_, value)) if !begins_with_value => value.trim_start(),
        _ => line,
    }
}

fn quoted(value: &str) -> String {
    let value = value.split_once(" #").map_or(value, |(value, _)| value).trim_end();
    format!("`'{}'`", value.replace('\'', "''"))
}

/// Whether a quote begins in this line and does not end in it.
fn is_open(line: &str) -> bool {
    let value = value(line);
    let Some(quote @ ('\'' | '"')) = value.chars().next() else { return false };
    value.chars().filter(|char| *char == quote).count() % 2 == 1
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}
