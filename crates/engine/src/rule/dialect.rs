//! Regular expressions as Sigma's authors write them, for the library that runs them.
//!
//! The specification's flavour is PCRE. Most of what people write means the same to this library; what would be read
//! in silence as something else is rewritten here, and what cannot be said at all in time linear in the text is
//! refused. Digits, word characters and blanks are those of ASCII, as they are in PCRE.

use std::fmt::Write;

/// Before the end, or before a line feed that is the last character.
const END: &str = r"(?:\n?\z)";
const BLANKS: &str = r"\x{9}\x{20}\x{a0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}";
const LINE_BREAKS: &str = r"\x{a}-\x{d}\x{85}\x{2028}\x{2029}";

struct Reader<'p> {
    rest: &'p str,
    out: String,
    /// `m`: `$` and `^` are at every line; of each open group, the innermost last.
    lines: Vec<bool>,
    /// What stands before can be repeated, once.
    atom: Atom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Atom {
    /// Nothing that could be repeated.
    None,
    Plain,
    /// It is repeated already; the counts of such may be repeated again.
    Counted,
    Repeated,
}

/// A member of a class: one character, or the text of several.
enum Member {
    Char(char),
    Several(String),
}

/// The expression in the library's words.
///
/// # Errors
/// What has no meaning here, with a hint.
pub(super) fn translate(source: &str, multi_line: bool) -> Result<String, String> {
    let mut reader = Reader { rest: source, out: String::new(), lines: vec![multi_line], atom: Atom::None };
    while let Some(next) = reader.take() {
        reader.one(next)?;
    }
    Ok(reader.out)
}

impl<'p> Reader<'p> {
    fn take(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn take_if(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.atom = Atom::Plain;
    }

    fn one(&mut self, next: char) -> Result<(), String> {
        match next {
            '\\' => return self.escape(),
            '[' => return self.class(),
            '(' => return self.group(),
            ')' => {
                if self.lines.len() > 1 {
                    self.lines.pop();
                }
                self.put(")");
            }
            '|' => {
                self.out.push('|');
                self.atom = Atom::None;
            }
            '$' if !self.multi_line() => self.put(END),
            '*' | '+' | '?' => self.repeat(&next.to_string(), Atom::Repeated)?,
            '{' => match self.counts()? {
                Some(counts) => self.repeat(&counts, Atom::Counted)?,
                None => self.put(r"\{"),
            },
            other => self.put(other.encode_utf8(&mut [0; 4])),
        }
        Ok(())
    }

    fn multi_line(&self) -> bool {
        self.lines.last() == Some(&true)
    }

    fn repeat(&mut self, how: &str, as_what: Atom) -> Result<(), String> {
        // `?` and `+` behind another quantifier are taken below, together with it.
        if self.atom == Atom::Repeated || self.atom == Atom::Counted && as_what != Atom::Counted {
            return Err(format!("`{how}` follows another quantifier; put brackets around what it repeats"));
        }
        self.out.push_str(how);
        if self.take_if("?") {
            self.out.push('?');
        } else if self.rest.starts_with('+') {
            return Err(format!(
                "`{how}+` is possessive, which is not supported; write `{how}`, which finds whatever that finds"
            ));
        }
        self.atom = as_what;
        Ok(())
    }

    /// `{2}`, `{2,}` or `{2,5}` behind its `{`; any other bracket is a plain character.
    fn counts(&mut self) -> Result<Option<String>, String> {
        let Some((inside, after)) = self.rest.split_once('}') else { return Ok(None) };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
        if least.is_empty() && digits(most) {
            return Err(format!(
                "`{{,{most}}}` means one thing or another from version to version; write `{{0,{most}}}`"
            ));
        }
        if !digits(least) || !most.is_empty() && !digits(most) {
            return Ok(None);
        }
        self.rest = after;
        Ok(Some(format!("{{{inside}}}")))
    }

    fn group(&mut self) -> Result<(), String> {
        self.atom = Atom::None;
        let mut lines = self.multi_line();
        if self.take_if("?#") {
            let Some((_, after)) = self.rest.split_once(')') else { return Err("`(?#` is not closed".to_owned()) };
            self.rest = after;
            return Ok(());
        }
        if self.take_if("?>") {
            return Err("atomic groups, `(?>...)`, are not supported; write `(?:...)`".to_owned());
        }
        if self.take_if("*") {
            return Err("verbs, `(*...)`, are not supported; for a star after a bracket write `(\\*`".to_owned());
        }
        if let Some(flags) = self.rest.strip_prefix('?')
            && let Some(end) = flags.find(|char: char| !char.is_ascii_alphabetic() && char != '-')
            && matches!(flags.as_bytes()[end], b':' | b')')
        {
            lines = flag(&flags[..end], lines)?;
            let own = flags.as_bytes()[end] == b':';
            self.out.push_str("(?");
            self.out.push_str(&flags[..=end]);
            self.rest = &flags[end + 1..];
            match self.lines.last_mut() {
                Some(here) if !own => *here = lines,
                _ => self.lines.push(lines),
            }
            return Ok(());
        }
        self.out.push('(');
        self.lines.push(lines);
        if self.take_if("?") {
            self.out.push('?');
            // A name, or something that the library refuses with a message of its own.
            if let Some(end) = self.rest.find(['>', '=', '!', ')']) {
                self.out.push_str(&self.rest[..=end]);
                self.rest = &self.rest[end + 1..];
            }
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(next) = self.take() else { return Err("a backslash stands at the end; write `\\\\`".to_owned()) };
        match next {
            'd' => self.put("[0-9]"),
            'D' => self.put("[^0-9]"),
            'w' => self.put(r"(?-u:\w)"),
            'W' => self.put("(?-i:[^0-9A-Za-z_])"),
            's' => self.put(r"[\x{9}-\x{d}\x{20}]"),
            'S' => self.put(r"[^\x{9}-\x{d}\x{20}]"),
            'b' => self.put(r"(?-u:\b)"),
            'B' => self.put(r"(?-u:\B)"),
            'N' => self.put(r"[^\n]"),
            'Z' => self.put(END),
            'e' => self.put(r"\x{1b}"),
            'h' => self.put(&format!("[{BLANKS}]")),
            'H' => self.put(&format!("[^{BLANKS}]")),
            'v' => self.put(&format!("[{LINE_BREAKS}]")),
            'V' => self.put(&format!("[^{LINE_BREAKS}]")),
            'Q' => {
                let (text, after) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                self.rest = after;
                text.chars().for_each(|char| self.char(char));
            }
            'E' => {}
            'R' | 'X' | 'G' | 'K' | 'c' | 'g' | 'k' | '0'..='9' => return Err(unsupported(next)),
            'p' | 'P' | 'x' => {
                let class = self.longer(next);
                self.put(&class);
            }
            'A' | 'a' | 'f' | 'n' | 'r' | 't' | 'z' => self.put(&format!("\\{next}")),
            letter if letter.is_ascii_alphabetic() => return Err(unsupported(letter)),
            other => self.char(other),
        }
        Ok(())
    }

    /// `\p{Lu}`, `\x41`, `\x{41}`, behind the letter.
    fn longer(&mut self, letter: char) -> String {
        let end = match letter {
            _ if self.rest.starts_with('{') => self.rest.find('}').map_or(self.rest.len(), |end| end + 1),
            'x' => self.rest.len().min(2),
            _ => self.rest.len().min(1),
        };
        let (text, after) = self.rest.split_at(self.rest.floor_char_boundary(end));
        self.rest = after;
        format!("\\{letter}{text}")
    }

    /// This character, whatever it means elsewhere.
    fn char(&mut self, char: char) {
        self.put(&plain(char));
    }

    /// A class behind its `[`. Brackets, `&&`, `--` and `~~` in it are characters, which the library takes for more.
    fn class(&mut self) -> Result<(), String> {
        let mut class = String::from(if self.take_if("^") { "[^" } else { "[" });
        let mut first = true;
        loop {
            let Some(next) = self.take() else { return Err("`[` is not closed".to_owned()) };
            if next == ']' && !first {
                break;
            }
            first = false;
            let start = match self.member(next)? {
                Member::Several(text) => {
                    class.push_str(&text);
                    continue;
                }
                Member::Char(start) => start,
            };
            class.push_str(&plain(start));
            if !self.rest.starts_with('-') || self.rest.starts_with("-]") {
                continue;
            }
            self.take();
            let Some(next) = self.take() else { return Err("`[` is not closed".to_owned()) };
            match self.member(next)? {
                Member::Char(end) if end < start => {
                    return Err(format!("`{start}-{end}` in a class runs backwards; write `\\-` for a dash"));
                }
                Member::Char(end) => class = class + "-" + &plain(end),
                Member::Several(text) => class = class + &plain('-') + &text,
            }
        }
        class.push(']');
        self.put(&class);
        Ok(())
    }

    fn member(&mut self, next: char) -> Result<Member, String> {
        if next == '['
            && self.rest.starts_with(':')
            && let Some(end) = self.rest.find(":]")
        {
            let name = &self.rest[..end + 2];
            self.rest = &self.rest[end + 2..];
            return Ok(Member::Several(format!("[{name}")));
        }
        if next != '\\' {
            return Ok(Member::Char(next));
        }
        let Some(next) = self.take() else { return Err("`[` is not closed".to_owned()) };
        Ok(match next {
            'd' => Member::Several("0-9".to_owned()),
            'D' => Member::Several("[^0-9]".to_owned()),
            'w' => Member::Several("0-9A-Za-z_".to_owned()),
            'W' => Member::Several("[^0-9A-Za-z_]".to_owned()),
            's' => Member::Several(r"\x{9}-\x{d}\x{20}".to_owned()),
            'S' => Member::Several(r"[^\x{9}-\x{d}\x{20}]".to_owned()),
            'h' => Member::Several(BLANKS.to_owned()),
            'H' => Member::Several(format!("[^{BLANKS}]")),
            'v' => Member::Several(LINE_BREAKS.to_owned()),
            'V' => Member::Several(format!("[^{LINE_BREAKS}]")),
            'p' | 'P' => Member::Several(self.longer(next)),
            'x' => Member::Char(self.code()?),
            'a' => Member::Char('\u{7}'),
            'b' => Member::Char('\u{8}'),
            'e' => Member::Char('\u{1b}'),
            'f' => Member::Char('\u{c}'),
            'n' => Member::Char('\n'),
            'r' => Member::Char('\r'),
            't' => Member::Char('\t'),
            letter if letter.is_ascii_alphanumeric() => return Err(unsupported(letter)),
            other => Member::Char(other),
        })
    }

    fn code(&mut self) -> Result<char, String> {
        let text = self.longer('x');
        let digits = text.trim_start_matches("\\x").trim_start_matches('{').trim_end_matches('}');
        let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        code.ok_or_else(|| format!("`{text}` is no character; write it as `\\x41` or `\\x{{20ac}}`"))
    }
}

/// Whether `m` is on behind these flags.
fn flag(flags: &str, mut lines: bool) -> Result<bool, String> {
    let mut on = true;
    for flag in flags.chars() {
        match flag {
            '-' => on = false,
            'm' => lines = on,
            'i' | 's' | 'U' => {}
            'x' => return Err("flag `x` is not supported; write the expression without blanks and remarks".to_owned()),
            other => return Err(format!("flag `{other}` is not supported; there are `i`, `m`, `s` and `U`")),
        }
    }
    Ok(lines)
}

fn unsupported(letter: char) -> String {
    let hint = match letter {
        '1'..='9' | 'g' | 'k' => "back references are not supported, because their time has no bound",
        'R' => "write `(?:\\r\\n|\\n|\\r)`",
        '0' => "write a character by its number as `\\x00`",
        'c' => "write a control character as `\\x1b`",
        _ => "a letter without a meaning needs no backslash",
    };
    format!("`\\{letter}` is not supported; {hint}")
}

/// A character that means nothing but itself, in a class and out of one.
fn plain(char: char) -> String {
    let mut text = String::new();
    if char.is_alphanumeric() {
        text.push(char);
    } else {
        let code = u32::from(char);
        write!(text, "\\x{{{code:x}}}").expect("a string takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::rule::pattern::{Flags, Pattern};

    fn read(source: &str, flags: &str) -> Result<Pattern, String> {
        let has = |flag| flags.contains(flag);
        Pattern::new(source, Flags { ignore_case: has('i'), multi_line: has('m'), dot_matches_newline: has('s') })
    }

    #[test]
    fn expressions_mean_what_they_mean_elsewhere() {
        for (source, flags, text, expected, reason) in [
            (r"\<b\>", "", "a<b>", true, "angle brackets are characters"),
            (r"\<b\>", "", "b", false, "and no borders of words"),
            (r"[a[b]c]", "", "[c]", true, "a bracket in a class is a character, and the class ends at the first `]`"),
            (r"[a&&b]", "", "&", true, "no intersection"),
            (r"[a&&b]", "", "a", true, "no intersection"),
            (r"[a~~b]", "", "a", true, "no difference"),
            (r"[a-c--]", "", "-", true, "no difference"),
            (r"[a-c--]", "", "b", true, "no difference"),
            (r"^[!--]$", "", "%", true, "a range up to the dash"),
            (r"^[\w-.]$", "", "-", true, "a dash behind a class is a dash"),
            (r"^[]a]$", "", "]", true, "a bracket that stands first"),
            (r"^[^]a]$", "", "]", false, "a bracket that stands first"),
            (r"^[[:digit:]x]$", "", "7", true, "a class by name"),
            (r"^[\[\]]$", "", "]", true, "escaped brackets"),
            (r"^[\x41-\x{43}]$", "", "B", true, "codes"),
            (r"^[\Qa\E]$", "", "a", false, "is refused, see below"),
            (r"^foo$", "", "foo\n", true, "before a line feed that ends the text"),
            (r"^foo$", "", "foo\n\n", false, "but not before two"),
            (r"^foo\Z", "", "foo\n", true, "the same by another name"),
            (r"^foo\z", "", "foo\n", false, "the very end"),
            (r"^foo$", "m", "foo\nbar", true, "at each line"),
            (r"(?m)^foo$", "", "foo\nbar", true, "told inside"),
            (r"(?m:^foo)$", "", "foo\nbar", false, "told inside of brackets, and no longer"),
            (r"^foo$|^bar$", "", "bar\n", true, "in each alternative"),
            (r"^\d$", "", "٣", false, "digits of ASCII"),
            (r"^\w$", "", "ä", false, "letters of ASCII"),
            (r"^\W$", "", "ä", true, "and whatever is none"),
            (r"^\w$", "i", "\u{212a}", false, "whatever the letter case"),
            (r"\bx\b", "", "äxä", true, "borders of such words"),
            (r"^\s$", "", "\u{a0}", false, "blanks of ASCII"),
            (r"^\h$", "", "\u{a0}", true, "and those that are told"),
            (r"^\v$", "", "\r", true, "any break of a line"),
            (r"a{b", "", "xa{b", true, "a brace that counts nothing"),
            (r"^{a}$", "", "{a}", true, "a brace that counts nothing"),
            (r"^a{2}$", "", "aa", true, "and one that does"),
            (r"^a{1,}?b$", "", "aab", true, "with the least"),
            (r"^(?:a{2}){2}$", "", "aaaa", true, "counted twice"),
            (r"^\Qa.b\E.$", "", "a.bc", true, "quoted"),
            (r"^a(?#remark)b$", "", "ab", true, "a remark"),
            (r"^(?<n>a)(?P<m>b)$", "", "ab", true, "names"),
            (r"^\/\-\_\ $", "", "/-_ ", true, "backslashes without need"),
            (r"^(?i)A$", "", "a", true, "flags"),
            (r"^\p{Lu}\P{Lu}$", "", "Ää", true, "sorts of characters"),
            (r"a.b", "", "a\nb", false, "a dot is no line feed"),
            (r"^\N$", "s", "\n", false, "nor is this, whatever the flag"),
        ] {
            let found = read(source, flags).map(|pattern| pattern.finds(text));
            assert_eq!(found.unwrap_or(false), expected, "{source} on {text:?}: {reason}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused_with_a_hint() {
        for (source, part) in [
            ("a++", "`++` is possessive"),
            ("a{2}+", "`{2}+` is possessive"),
            ("(?>a)", "atomic groups"),
            ("a**", "`*` follows another quantifier"),
            ("a{,3}", "write `{0,3}`"),
            (r"(a)\1", "back references"),
            (r"\Ra", r"write `(?:\r\n|\n|\r)`"),
            (r"\y", "needs no backslash"),
            ("(?x) a b", "flag `x`"),
            ("(?R)", "flag `R`"),
            ("(*UTF8)a", "verbs"),
            ("a\\", "stands at the end"),
            ("[a", "`[` is not closed"),
            ("[z-a]", "runs backwards"),
            (r"[\Qa\E]", r"`\Q` is not supported"),
            (r"[\x{zz}]", "is no character"),
            ("(?=a)", "look-ahead"),
            ("(a", "unclosed group"),
            ("a)", "unopened group"),
            ("*", "repetition operator"),
            ("1[01]{200}x", "takes too long over some texts"),
            ("1[01]{2000}x", "takes too long over some texts"),
            (r"[\w]{900}{900}", "too much memory"),
        ] {
            let message = read(source, "").expect_err(source);
            assert!(message.contains(part), "{source}: {message}");
        }
    }
}
