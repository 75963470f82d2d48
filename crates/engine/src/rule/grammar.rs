//! The language of conditions: `and`, `or`, `not`, brackets, `1 of name*`, `all of them`, `2 of them`.

use super::ast::{ConditionExpr, Quantifier, SelectorPattern};
use super::place::{Fault, Place};
use super::yaml::Node;

/// More than twenty times the longest condition among public rules.
const BYTES_MAX: usize = 8 << 10;
/// Brackets within brackets. What walks the expression recurses.
const DEPTH_MAX: usize = 48;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Open,
    Close,
    Word(&'t str),
}

struct Reader<'t> {
    /// Each with how many characters stand before it, blanks aside.
    tokens: Vec<(usize, Token<'t>)>,
    next: usize,
    node: &'t Node<'t>,
    depth: usize,
}

/// Reads the condition that this text is.
///
/// # Errors
/// What is wrong with it, and at which word.
pub(super) fn read(node: &Node<'_>) -> Result<ConditionExpr, Fault> {
    let text = node.text().ok_or_else(|| Fault::error("a condition is text").at(node.place))?;
    if text.len() > BYTES_MAX {
        return Err(Fault::error(format!("the condition is longer than {BYTES_MAX} bytes")).at(node.place));
    }
    let mut reader = Reader { tokens: tokens(text, node)?, next: 0, node, depth: 0 };
    if reader.tokens.is_empty() {
        return Err(Fault::error("the condition is empty").at(node.place));
    }
    let expression = reader.or()?;
    match reader.peek() {
        None => Ok(expression),
        Some(Token::Close) => Err(reader.fault("there is no `(` for this `)`")),
        Some(Token::Open) => Err(reader.fault("`and` or `or` is missing before `(`")),
        Some(Token::Word(word)) => Err(reader.fault(&match word.to_ascii_lowercase().as_str() {
            lower @ ("and" | "or" | "not" | "of") if lower != word => format!("write `{lower}` in lower case"),
            _ => format!("`and` or `or` is missing before `{word}`"),
        })),
    }
}

fn tokens<'t>(text: &'t str, node: &Node<'_>) -> Result<Vec<(usize, Token<'t>)>, Fault> {
    let mut tokens = Vec::new();
    let mut characters = text.char_indices().peekable();
    let mut visible = 0;
    while let Some((start, first)) = characters.next() {
        let place = visible;
        visible += usize::from(!first.is_whitespace());
        let token = match first {
            '(' => Token::Open,
            ')' => Token::Close,
            '|' => {
                let message = "aggregation in a condition is no longer part of Sigma; count in a `correlation` \
                               document of its own, see docs/rules.md";
                return Err(Fault::error(message).at(node.place_of(place)));
            }
            first if first.is_whitespace() => continue,
            first if is_name(first) => {
                let mut end = start + first.len_utf8();
                while let Some((_, next)) = characters.next_if(|(_, next)| is_name(*next)) {
                    end += next.len_utf8();
                    visible += 1;
                }
                Token::Word(&text[start..end])
            }
            other => {
                let instead = match other {
                    '&' => "; write `and`",
                    '!' => "; write `not`",
                    _ => "",
                };
                let message = format!("`{other}` means nothing in a condition{instead}");
                return Err(Fault::error(message).at(node.place_of(place)));
            }
        };
        tokens.push((place, token));
    }
    Ok(tokens)
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '*')
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.next).map(|(_, token)| *token)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(Token::Word(word));
        self.next += usize::from(found);
        found
    }

    /// The place of the next word, or of the end.
    fn place(&self) -> Place {
        self.tokens.get(self.next).map_or_else(|| self.node.end(), |(place, _)| self.node.place_of(*place))
    }

    fn fault(&self, message: &str) -> Fault {
        Fault::error(format!("the condition cannot be read: {message}")).at(self.place())
    }

    fn or(&mut self) -> Result<ConditionExpr, Fault> {
        let mut parts = vec![self.and()?];
        while self.take("or") {
            parts.push(self.and()?);
        }
        Ok(joined(parts, ConditionExpr::Or))
    }

    fn and(&mut self) -> Result<ConditionExpr, Fault> {
        let mut parts = vec![self.not()?];
        while self.take("and") {
            parts.push(self.not()?);
        }
        Ok(joined(parts, ConditionExpr::And))
    }

    /// Two negations are none, so a row of them needs no depth.
    fn not(&mut self) -> Result<ConditionExpr, Fault> {
        let mut negated = false;
        while self.take("not") {
            negated = !negated;
        }
        let part = self.part()?;
        Ok(if negated { ConditionExpr::Not(Box::new(part)) } else { part })
    }

    fn part(&mut self) -> Result<ConditionExpr, Fault> {
        let place = self.place();
        match self.peek() {
            None => Err(self.fault("it ends where a name is expected")),
            Some(Token::Close) => Err(self.fault("a name is expected before `)`")),
            Some(Token::Open) => self.bracket(),
            Some(Token::Word(word @ ("and" | "or" | "of"))) => {
                Err(self.fault(&format!("a name is expected before `{word}`")))
            }
            Some(Token::Word(word)) => {
                self.next += 1;
                if self.take("of") {
                    return self.selector(word, place);
                }
                if word.contains('*') {
                    self.next -= 1;
                    return Err(self.fault(&format!("write `1 of {word}` or `all of {word}`")));
                }
                Ok(ConditionExpr::Identifier(word.to_owned(), place))
            }
        }
    }

    fn bracket(&mut self) -> Result<ConditionExpr, Fault> {
        if self.depth == DEPTH_MAX {
            return Err(self.fault(&format!("brackets are nested deeper than {DEPTH_MAX}")));
        }
        self.next += 1;
        self.depth += 1;
        let inside = self.or()?;
        self.depth -= 1;
        if self.peek() != Some(Token::Close) {
            return Err(self.fault("`)` is missing"));
        }
        self.next += 1;
        Ok(inside)
    }

    fn selector(&mut self, word: &str, place: Place) -> Result<ConditionExpr, Fault> {
        let quantifier = match word {
            "all" => Quantifier::All,
            "any" | "1" => Quantifier::Any,
            count => match count.parse() {
                Ok(count) => Quantifier::Count(count),
                Err(_) if word == "none" => return Err(self.fault("write `not 1 of` for `none of`")),
                Err(_) => return Err(self.fault(&format!("`{word} of` is not `all of`, `any of` or a number"))),
            },
        };
        let pattern = match self.peek() {
            Some(Token::Word("them")) => SelectorPattern::Them,
            Some(Token::Word(word)) => SelectorPattern::Pattern(word.to_owned()),
            Some(Token::Open | Token::Close) | None => {
                return Err(self.fault("`them` or a name such as `selection_*` is expected after `of`"));
            }
        };
        self.next += 1;
        Ok(ConditionExpr::Selector { quantifier, pattern, place })
    }
}

fn joined(mut parts: Vec<ConditionExpr>, join: fn(Vec<ConditionExpr>) -> ConditionExpr) -> ConditionExpr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => join(parts.into_iter().chain(last).collect()),
    }
}

#[cfg(test)]
mod tests;
