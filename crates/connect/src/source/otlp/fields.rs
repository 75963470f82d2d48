//! Finds the fields of a message in protobuf without reading what is in them. A request of 16 MiB may hold millions of empty
//! records: reading all of it at once would make a hundred times as much of it in memory.

/// Bytes that are no message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// The contents of the fields of this number, in order. Other fields are passed over.
pub(super) fn inner(message: &[u8], number: u64) -> Fields<'_> {
    Fields { rest: message, number }
}

/// What [`inner`] finds; ends after the first fault.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    number: u64,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<&'a [u8], Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match field(&mut self.rest) {
                Some((number, Some(content))) if number == self.number => return Some(Ok(content)),
                Some(_) => {}
                None => {
                    self.rest = &[];
                    return Some(Err(Broken));
                }
            }
        }
        None
    }
}

/// The next field: its number, and its content if it has a length.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let key = varint(rest)?;
    let content = match key & 7 {
        0 => varint(rest).map(|_| None)?,
        1 => take(rest, 8).map(|_| None)?,
        2 => {
            let length = varint(rest)?;
            Some(take(rest, usize::try_from(length).ok()?)?)
        }
        5 => take(rest, 4).map(|_| None)?,
        _ => return None,
    };
    Some((key >> 3, content))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// Seven bits a byte, the lowest first; ten bytes at most.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let (byte, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_sort_are_passed_over_and_those_asked_for_are_found() {
        // 1: varint 150; 2: "ab"; 3: eight bytes; 4: four bytes; 2: ""
        let message = b"\x08\x96\x01\x12\x02ab\x1912345678\x251234\x12\x00";
        let found: Vec<_> = inner(message, 2).collect();
        assert_eq!(found, [Ok(&b"ab"[..]), Ok(&b""[..])]);
        assert_eq!(inner(message, 9).count(), 0);
    }

    #[test]
    fn what_breaks_off_or_is_no_message_is_told_once() {
        for (message, reason) in [
            (&b"\x12\x05ab"[..], "shorter than it says"),
            (b"\x12", "no length"),
            (b"\x0b", "a group, which nobody writes any more"),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "a number without end"),
            (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer than any memory"),
        ] {
            assert_eq!(inner(message, 2).collect::<Vec<_>>(), [Err(Broken)], "{reason}");
        }
    }
}
