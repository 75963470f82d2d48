//! What one record of a shard holds: JSON lines, what a CloudWatch Logs subscription sends, or several of either in one.

use bytes::Bytes;

use super::aggregate::{self, Broken};
use crate::source::cuts::{Cut, Cuts};
use crate::source::firehose::unpack as unzip;
use crate::source::{Body, HEAD_BYTES, Refusal};

/// Bytes that one record may unpack to. A record has at most 10 MiB, and logs shrink to a tenth: what is larger is no log.
const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// The records inside, in order: the same at every reading.
pub(super) fn unpack(data: &Bytes) -> Vec<Body> {
    let parts = match aggregate::open(data) {
        None => vec![data.clone()],
        Some(Ok(parts)) => parts,
        Some(Err(Broken)) => return vec![refused(data, Refusal::Corrupt)],
    };
    let (mut bodies, mut room) = (Vec::new(), UNPACKED_BYTES_MAX);
    for part in &parts {
        let Some(text) = unzip(part, room) else {
            bodies.push(refused(part, Refusal::Corrupt));
            continue;
        };
        if text.len() > room {
            bodies.push(refused(&text, Refusal::TooLong));
            room = 0;
            continue;
        }
        room -= text.len();
        // How long one record may be is asked further in: a payload holds many.
        bodies.extend(Cuts::new(text.into(), UNPACKED_BYTES_MAX).map(|Cut { body, .. }| body));
    }
    bodies
}

fn refused(data: &[u8], reason: Refusal) -> Body {
    Body::Refused { head: data[..data.len().min(HEAD_BYTES)].to_vec(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::http::testing::gzip;

    fn texts(data: Vec<u8>) -> Vec<String> {
        let text = |body| match body {
            Body::Whole(text) => String::from_utf8(text.to_vec()).unwrap(),
            Body::Refused { reason, .. } => format!("{reason:?}"),
        };
        unpack(&data.into()).into_iter().map(text).collect()
    }

    #[test]
    fn a_record_holds_one_document_lines_or_a_payload_and_several_of_them_in_one() {
        let payload = gzip(br#"{"messageType":"DATA_MESSAGE","logEvents":[]}"#);
        assert_eq!(texts(b"{\"a\":1}".to_vec()), ["{\"a\":1}"]);
        assert_eq!(texts(b"{\"a\":1}\n\n{\"a\":2}\n".to_vec()), ["{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(texts(payload.clone()), [r#"{"messageType":"DATA_MESSAGE","logEvents":[]}"#]);
        let packed = aggregate::pack(&[b"{\"a\":1}\n{\"a\":2}", &payload, b"{\"a\":3}"]);
        let opened = texts(packed);
        assert_eq!(opened.len(), 4);
        assert_eq!((opened[1].as_str(), opened[3].as_str()), ("{\"a\":2}", "{\"a\":3}"));
    }

    #[test]
    fn what_is_broken_is_refused_alone_and_what_is_empty_is_nothing() {
        let mut cut = gzip(b"{}");
        cut.truncate(12);
        let packed = aggregate::pack(&[b"{}", &cut, b"{bad"]);
        assert_eq!(texts(packed.clone()), ["{}", "Corrupt", "{bad"]);
        let mut altered = packed;
        altered[9] ^= 1;
        assert_eq!(texts(altered), ["Corrupt"]);
        assert!(texts(Vec::new()).is_empty());
        assert!(texts(b" \n".to_vec()).is_empty());
    }

    #[test]
    fn a_bomb_is_refused_by_what_it_unpacks_to() {
        let bomb = gzip(&vec![b'x'; UNPACKED_BYTES_MAX + 1]);
        assert_eq!(texts(aggregate::pack(&[b"{}", &bomb, b"{}"])), ["{}", "TooLong", "TooLong"]);
    }
}
