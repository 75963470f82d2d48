//! What a field's modifiers mean together.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::matcher::{Position, Relation};
use super::nearest;
use super::pattern::Flags;
use super::place::Fault;
use super::text::Case;
use super::timepart::TimePart;

/// A chain of modifiers, understood.
#[derive(Clone, Debug)]
pub(super) struct How {
    pub(super) means: Means,
    pub(super) position: Position,
    pub(super) case: Case,
    /// Every value must hold, not any.
    pub(super) all: bool,
    pub(super) negated: bool,
    pub(super) windash: bool,
    /// Values hold placeholders.
    pub(super) expand: bool,
    /// What is compared is this part of the date that the field holds.
    pub(super) part: Option<TimePart>,
    /// In the order in which they are applied.
    pub(super) encodings: Vec<Encoding>,
}

/// What the rule's values are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Means {
    Text,
    Regex(Flags),
    Cidr,
    Compare(Relation),
    OtherField,
    Existence,
}

/// How a text is written before it is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf16Little,
    Utf16Big,
    /// With a byte order mark.
    Utf16Marked,
    Base64,
    /// As it looks inside a longer text in Base64: one of three ways.
    Base64Offset,
}

/// What stands after a field's name, each with a `|` before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Modifier {
    Contains,
    StartsWith,
    EndsWith,
    All,
    Base64,
    Base64Offset,
    Wide,
    Utf16be,
    Utf16,
    WindAsh,
    Re,
    IgnoreCase,
    Multiline,
    DotAll,
    Cidr,
    Cased,
    Exists,
    Expand,
    FieldRef,
    Gt,
    Gte,
    Lt,
    Lte,
    Neq,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Modifier {
    /// Every name that rules use. Of two names of one modifier the first is the usual one.
    const NAMES: [(&str, Self); 31] = [
        ("contains", Self::Contains),
        ("startswith", Self::StartsWith),
        ("endswith", Self::EndsWith),
        ("all", Self::All),
        ("base64", Self::Base64),
        ("base64offset", Self::Base64Offset),
        ("wide", Self::Wide),
        ("utf16le", Self::Wide),
        ("utf16be", Self::Utf16be),
        ("utf16", Self::Utf16),
        ("windash", Self::WindAsh),
        ("re", Self::Re),
        ("i", Self::IgnoreCase),
        ("m", Self::Multiline),
        ("s", Self::DotAll),
        ("cidr", Self::Cidr),
        ("cased", Self::Cased),
        ("exists", Self::Exists),
        ("expand", Self::Expand),
        ("fieldref", Self::FieldRef),
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("neq", Self::Neq),
        ("minute", Self::Minute),
        ("hour", Self::Hour),
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
        ("year", Self::Year),
    ];

    /// The modifier of this name.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn named(name: &str) -> Result<Self, Fault> {
        if let Some((_, modifier)) = Self::NAMES.into_iter().find(|(known, _)| *known == name) {
            return Ok(modifier);
        }
        let hint = nearest::hint(name, Self::NAMES.map(|(known, _)| known));
        Err(Fault::error(format!("modifier `{name}` is not known{hint}")))
    }

    /// The name that rules use.
    pub(super) fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(_, modifier)| *modifier == self).map_or("", |(name, _)| name)
    }
}

impl How {
    /// # Errors
    /// A modifier that is not supported, or two that do not go together.
    pub(super) fn read(modifiers: &[Modifier]) -> Result<Self, String> {
        let mut how = Self {
            means: Means::Text,
            position: Position::Whole,
            case: Case::Ignored,
            all: false,
            negated: false,
            windash: false,
            expand: false,
            part: None,
            encodings: Vec::new(),
        };
        let mut flags = Flags::default();
        let mut flagged = false;
        for &modifier in modifiers {
            match modifier {
                Modifier::Contains => how.stand(Position::Anywhere)?,
                Modifier::StartsWith => how.stand(Position::Start)?,
                Modifier::EndsWith => how.stand(Position::End)?,
                Modifier::All => how.all = true,
                Modifier::Neq => how.negated = true,
                Modifier::Cased => how.case = Case::Exact,
                Modifier::WindAsh => how.windash = true,
                Modifier::Wide => how.encodings.push(Encoding::Utf16Little),
                Modifier::Utf16be => how.encodings.push(Encoding::Utf16Big),
                Modifier::Utf16 => how.encodings.push(Encoding::Utf16Marked),
                Modifier::Base64 => how.encodings.push(Encoding::Base64),
                Modifier::Base64Offset => how.encodings.push(Encoding::Base64Offset),
                Modifier::Re => how.mean(Means::Regex(flags), modifier)?,
                Modifier::Cidr => how.mean(Means::Cidr, modifier)?,
                Modifier::FieldRef => how.mean(Means::OtherField, modifier)?,
                Modifier::Exists => how.mean(Means::Existence, modifier)?,
                Modifier::Gt => how.mean(Means::Compare(Relation::Greater), modifier)?,
                Modifier::Gte => how.mean(Means::Compare(Relation::AtLeast), modifier)?,
                Modifier::Lt => how.mean(Means::Compare(Relation::Less), modifier)?,
                Modifier::Lte => how.mean(Means::Compare(Relation::AtMost), modifier)?,
                Modifier::IgnoreCase | Modifier::Multiline | Modifier::DotAll => {
                    flagged = true;
                    flags.ignore_case |= modifier == Modifier::IgnoreCase;
                    flags.multi_line |= modifier == Modifier::Multiline;
                    flags.dot_matches_newline |= modifier == Modifier::DotAll;
                }
                Modifier::Expand => how.expand = true,
                Modifier::Minute => how.take(TimePart::Minute, modifier)?,
                Modifier::Hour => how.take(TimePart::Hour, modifier)?,
                Modifier::Day => how.take(TimePart::Day, modifier)?,
                Modifier::Week => how.take(TimePart::Week, modifier)?,
                Modifier::Month => how.take(TimePart::Month, modifier)?,
                Modifier::Year => how.take(TimePart::Year, modifier)?,
            }
        }
        match how.means {
            Means::Regex(_) => how.means = Means::Regex(flags),
            _ if flagged => return Err("modifiers `i`, `m` and `s` need `re` before them".to_owned()),
            _ => {}
        }
        how.check()?;
        Ok(how)
    }

    fn stand(&mut self, position: Position) -> Result<(), String> {
        if self.position != Position::Whole && self.position != position {
            return Err("only one of `contains`, `startswith` and `endswith` can be used".to_owned());
        }
        self.position = position;
        Ok(())
    }

    fn take(&mut self, part: TimePart, modifier: Modifier) -> Result<(), String> {
        if self.part.is_some() {
            return Err(format!("modifier `{}` follows another part of a date", modifier.name()));
        }
        self.part = Some(part);
        Ok(())
    }

    fn mean(&mut self, means: Means, modifier: Modifier) -> Result<(), String> {
        if !matches!(self.means, Means::Text) {
            return Err(format!("modifier `{}` does not go with the one before it", modifier.name()));
        }
        self.means = means;
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let encoded = !self.encodings.is_empty();
        if self.part.is_some() {
            let numeric = matches!(self.means, Means::Text | Means::Compare(_));
            let plain = self.position == Position::Whole && self.case == Case::Ignored && !encoded && !self.windash;
            if !numeric || !plain {
                return Err("a part of a date goes with `gt`, `gte`, `lt`, `lte` and `neq` only".to_owned());
            }
        }
        let (what, positioned, cased) = match self.means {
            Means::Text if self.windash && encoded => {
                return Err("modifier `windash` does not go with an encoding".to_owned());
            }
            Means::Text => return Ok(()),
            Means::OtherField => ("fieldref", true, true),
            // Letter case is the expression's own matter, so `cased` changes nothing.
            Means::Regex(_) => ("re", false, true),
            Means::Cidr => ("cidr", false, false),
            Means::Compare(_) => ("a comparison", false, false),
            Means::Existence => ("exists", false, false),
        };
        if encoded || self.windash {
            return Err(format!("{what} does not go with `windash` or an encoding"));
        }
        if self.position != Position::Whole && !positioned {
            return Err(format!("{what} does not go with `contains`, `startswith` or `endswith`"));
        }
        if self.case == Case::Exact && !cased {
            return Err(format!("{what} does not go with `cased`"));
        }
        Ok(())
    }
}

/// The texts to search for instead of this one.
///
/// # Errors
/// A chain that gives no text, or no useful one.
pub(super) fn encode(text: &str, encodings: &[Encoding]) -> Result<Vec<String>, String> {
    let mut bytes = text.as_bytes().to_vec();
    for (place, encoding) in encodings.iter().enumerate() {
        bytes = match encoding {
            Encoding::Utf16Little => utf16(&bytes, u16::to_le_bytes)?,
            Encoding::Utf16Big => utf16(&bytes, u16::to_be_bytes)?,
            Encoding::Utf16Marked => [vec![0xff, 0xfe], utf16(&bytes, u16::to_le_bytes)?].concat(),
            Encoding::Base64 => STANDARD.encode(&bytes).into_bytes(),
            Encoding::Base64Offset if place + 1 == encodings.len() => return offsets(&bytes),
            Encoding::Base64Offset => return Err("`base64offset` must be the last encoding".to_owned()),
        };
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(vec![text]),
        Err(_) => Err("the encoded value is no text; add `base64` or `base64offset`".to_owned()),
    }
}

fn utf16(bytes: &[u8], order: fn(u16) -> [u8; 2]) -> Result<Vec<u8>, String> {
    let text = str::from_utf8(bytes).map_err(|_| "two UTF-16 encodings follow each other".to_owned())?;
    Ok(text.encode_utf16().flat_map(order).collect())
}

/// Base64 writes three bytes as four characters, so a text inside a longer one looks one of three ways;
/// the characters at its ends that its neighbours share in are left out.
fn offsets(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    for offset in 0..3 {
        let padded = [&[0; 3][..offset], bytes].concat();
        let encoded = STANDARD_NO_PAD.encode(&padded);
        let start = (offset * 8).div_ceil(6);
        let end = padded.len() * 8 / 6;
        match encoded.get(start..end) {
            Some(text) if !text.is_empty() => texts.push(text.to_owned()),
            _ => return Err("the value is too short for `base64offset`".to_owned()),
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_in_base64_at_any_offset() {
        let texts = encode("secret", &[Encoding::Base64Offset]).unwrap();
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "x", "xy"] {
                let whole = STANDARD.encode(format!("{before}secret{after}"));
                assert!(texts.iter().any(|text| whole.contains(text.as_str())), "{before} {after}");
            }
        }
        assert!(encode("", &[Encoding::Base64Offset]).is_err());
    }

    #[test]
    fn wide_text_has_a_zero_after_each_letter() {
        assert_eq!(encode("ab", &[Encoding::Utf16Little]).unwrap(), ["a\0b\0"]);
        assert_eq!(encode("ab", &[Encoding::Utf16Big]).unwrap(), ["\0a\0b"]);
        assert_eq!(
            encode("a", &[Encoding::Utf16Marked, Encoding::Base64]).unwrap(),
            [STANDARD.encode([255, 254, 97, 0])]
        );
        assert!(encode("a", &[Encoding::Utf16Marked]).is_err());
    }

    #[test]
    fn modifiers_that_do_not_go_together_are_refused() {
        use Modifier::*;
        for (modifiers, part) in [
            (&[Contains, StartsWith][..], "only one of"),
            (&[Re, Cidr], "`cidr` does not go with"),
            (&[IgnoreCase], "need `re`"),
            (&[Cidr, Contains], "cidr does not go"),
            (&[Gt, Cased], "a comparison does not go"),
            (&[WindAsh, Base64], "`windash` does not go"),
            (&[Hour, Day], "`day` follows another part"),
            (&[Hour, Contains], "a part of a date goes with"),
        ] {
            let error = How::read(modifiers).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
