//! A look at raw bytes before the parser sees them: how deep they nest, and whether they hold a NUL.

use super::{Refusal, RejectReason};

/// One pass, no allocation. What it counts is never less than what a parser would nest, whatever the bytes:
/// up to the first fault of syntax both agree on what is a string, and there the parser stops.
pub(super) fn check(body: &[u8], depth_max: usize) -> Result<(), Refusal> {
    let mut depth = 0_usize;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes)?,
            b'[' | b'{' => {
                depth += 1;
                if depth > depth_max {
                    return Err(Refusal::new(RejectReason::Depth, format!("nested deeper than {depth_max}")));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            0 => return Err(nul()),
            _ => {}
        }
    }
    Ok(())
}

fn skip_string(bytes: &mut std::slice::Iter<u8>) -> Result<(), Refusal> {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => {
                // The escaped byte itself: it may be a quote, and it may be a NUL in a broken record.
                if bytes.next() == Some(&0) {
                    return Err(nul());
                }
            }
            0 => return Err(nul()),
            _ => {}
        }
    }
    Ok(())
}

fn nul() -> Refusal {
    Refusal::new(RejectReason::Encoding, "NUL byte")
}
