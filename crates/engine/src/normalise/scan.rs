//! A look at raw bytes before the parser sees them: how deep they nest, whether they hold a NUL, and where
//! the records of a document of many begin and end.

use super::{Refusal, RejectReason};

/// One pass, no allocation. What it counts is never less than what a parser would nest, whatever the bytes:
/// up to the first fault of syntax both agree on what is a string, and there the parser stops.
pub(super) fn check(body: &[u8], depth_max: usize) -> Result<(), Refusal> {
    let Census { openers, nul, .. } = census(body);
    // A record with fewer brackets than may nest need not be looked at more closely: nearly all are such.
    if openers > depth_max {
        check_depth(body, depth_max)?;
    }
    if nul { Err(Refusal::new(RejectReason::Encoding, "NUL byte")) } else { Ok(()) }
}

/// Any integer of fewer digits fits into 64 bits.
const LONG_DIGITS: usize = 19;

/// Whether there are so many digits in a row that they may be an integer beyond 64 bits. Looks at one byte of
/// [`LONG_DIGITS`], because such a row cannot pass between two of them.
pub(super) fn has_long_digits(body: &[u8]) -> bool {
    let digit = |byte: &&u8| byte.is_ascii_digit();
    let looked = body.iter().enumerate().skip(LONG_DIGITS - 1).step_by(LONG_DIGITS);
    looked.filter(|(_, byte)| byte.is_ascii_digit()).any(|(place, _)| {
        let before = body[..place].iter().rev().take(LONG_DIGITS).take_while(digit).count();
        let after = body[place..].iter().take(LONG_DIGITS).take_while(digit).count();
        before + after >= LONG_DIGITS
    })
}

/// What a body is made of, strings included.
struct Census {
    openers: usize,
    nul: bool,
    /// Bytes below the blank: line ends and tabs between values, faults within strings.
    controls: bool,
}

/// Whether the body is so plain that nothing in it can be wrong but its syntax: no control characters and fewer
/// brackets than may nest.
pub(super) fn is_plain(body: &[u8], depth_max: usize) -> bool {
    let Census { openers, controls, .. } = census(body);
    openers <= depth_max && !controls
}

/// Many bytes at a time. One by one, as [`check_depth`] goes, this was the first line of the profile, before parsing.
fn census(body: &[u8]) -> Census {
    let mut census = Census { openers: 0, nul: false, controls: false };
    // A byte can count to 255; a multiple of 32 leaves no remainder to go through one by one.
    for chunk in body.chunks(224) {
        let (mut openers, mut nuls, mut controls) = (0_u8, 0_u8, 0_u8);
        for byte in chunk {
            // `[` is `{` without this bit, and nothing else is.
            openers += u8::from(byte | 0x20 == b'{');
            nuls |= u8::from(*byte == 0);
            controls |= u8::from(*byte < b' ');
        }
        census.openers += usize::from(openers);
        census.nul |= nuls != 0;
        census.controls |= controls != 0;
    }
    census
}

fn check_depth(body: &[u8], depth_max: usize) -> Result<(), Refusal> {
    let mut depth = 0_usize;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' => {
                depth += 1;
                if depth > depth_max {
                    return Err(Refusal::new(RejectReason::Depth, format!("nested deeper than {depth_max}")));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

fn skip_string(bytes: &mut std::slice::Iter<u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

/// The elements of a JSON array, cut out of the bytes before anything is parsed, so that limits are for one
/// record and a broken one costs only itself.
pub(super) struct Elements<'a> {
    /// What is not handed out yet; what is behind the closing bracket once that was met.
    rest: &'a [u8],
    closed: bool,
    /// Whether the document around the array is well formed.
    framed: bool,
}

impl<'a> Elements<'a> {
    /// The elements of a body that is an array.
    pub(super) fn of_array(body: &'a [u8]) -> Option<Self> {
        body.strip_prefix(b"[").map(|rest| Self { rest, closed: false, framed: true })
    }

    /// The elements of the array that is a member of an object, by any of these names.
    pub(super) fn of_member(body: &'a [u8], names: &[&str]) -> Option<Self> {
        let mut members = Self { rest: body.strip_prefix(b"{")?, closed: false, framed: true };
        let array = members.by_ref().find_map(|member| names.iter().find_map(|name| array(member, name)));
        let rest = array?;
        // Behind the array the document must come to its end, or records of a second one would be lost.
        members.by_ref().for_each(drop);
        Some(Self { rest, closed: false, framed: members.ended() })
    }

    /// What is wrong with the document around the elements; asked when all of them are out.
    pub(super) fn fault(&self) -> Option<Refusal> {
        let whole = self.framed && self.ended();
        (!whole).then(|| Refusal::new(RejectReason::Syntax, "the list of records is cut off or does not end well"))
    }

    fn ended(&self) -> bool {
        self.closed && self.rest.trim_ascii().is_empty()
    }
}

/// Whether the first member of an object has this name.
pub(super) fn begins_with_member(body: &[u8], name: &str) -> bool {
    body.strip_prefix(b"{").is_some_and(|rest| after_name(rest.trim_ascii_start(), name).is_some())
}

/// What follows `"name":[`.
fn array<'a>(member: &'a [u8], name: &str) -> Option<&'a [u8]> {
    after_name(member, name)?.trim_ascii_start().strip_prefix(b"[")
}

fn after_name<'a>(member: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = member.strip_prefix(b"\"")?.strip_prefix(name.as_bytes())?.strip_prefix(b"\"")?;
    rest.trim_ascii_start().strip_prefix(b":")
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.rest = self.rest.trim_ascii_start();
        if self.closed || self.rest.is_empty() {
            return None;
        }
        let mut depth = 0_usize;
        let mut bytes = self.rest.iter();
        let end = loop {
            let at = self.rest.len() - bytes.len();
            match bytes.next() {
                None => break at,
                Some(b'"') => skip_string(&mut bytes),
                Some(b'[' | b'{') => depth += 1,
                Some(b',') if depth == 0 => break at,
                Some(b']' | b'}') if depth == 0 => {
                    self.closed = true;
                    break at;
                }
                Some(b']' | b'}') => depth -= 1,
                Some(_) => {}
            }
        };
        let element = self.rest[..end].trim_ascii_end();
        self.rest = bytes.as_slice();
        (!self.closed || !element.is_empty()).then_some(element)
    }
}
