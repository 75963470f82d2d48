//! Records that the Kinesis Producer Library packed into one: a magic number, a protobuf message, its MD5.
//!
//! Who packs them puts all of one shard together; around a resharding it may send some again, and those are handed over
//! twice at two positions. Events with an id are counted once all the same.

use bytes::Bytes;
use md5::{Digest, Md5};
use prost::Message;

/// What every packed record begins with.
const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const MD5_BYTES: usize = 16;

/// The message, as far as it matters here: keys decide about shards only, and these are known.
#[derive(Clone, PartialEq, Message)]
struct Aggregate {
    #[prost(message, repeated, tag = "3")]
    records: Vec<Packed>,
}

#[derive(Clone, PartialEq, Message)]
struct Packed {
    #[prost(bytes = "bytes", tag = "3")]
    data: Bytes,
}

/// What a record holds that says it is packed, but is broken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// The records inside of a packed one; nothing if it is a record as others are.
pub(super) fn open(data: &Bytes) -> Option<Result<Vec<Bytes>, Broken>> {
    if !data.starts_with(&MAGIC) || data.len() < MAGIC.len() + MD5_BYTES {
        return None;
    }
    let message = data.slice(MAGIC.len()..data.len() - MD5_BYTES);
    if Md5::digest(&message)[..] != data[data.len() - MD5_BYTES..] {
        return Some(Err(Broken));
    }
    let opened = Aggregate::decode(message).map_err(|_| Broken);
    Some(opened.map(|aggregate| aggregate.records.into_iter().map(|packed| packed.data).collect()))
}

/// What the library would make of these.
#[cfg(test)]
pub(super) fn pack(records: &[&[u8]]) -> Vec<u8> {
    let packed = |data: &&[u8]| Packed { data: Bytes::copy_from_slice(data) };
    let message = Aggregate { records: records.iter().map(packed).collect() }.encode_to_vec();
    [&MAGIC[..], &message, &Md5::digest(&message)[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the library's own description of its format has it: a table of keys, and of records their key, data and a tag.
    const BY_HAND: &[u8] = &[
        0x0A, 0x01, b'a', // partition_key_table: "a"
        0x12, 0x01, b'7', // explicit_hash_key_table: "7"
        0x1A, 0x08, 0x08, 0x00, 0x10, 0x00, 0x1A, 0x02, b'h', b'i', // records: key 0, hash 0, "hi"
        0x1A, 0x0B, 0x08, 0x00, 0x1A, 0x02, b'y', b'o', 0x22, 0x03, 0x0A, 0x01, b't', // "yo", with a tag
    ];

    #[test]
    fn what_the_format_describes_is_read() {
        let data = [&MAGIC[..], BY_HAND, &Md5::digest(BY_HAND)[..]].concat();
        assert_eq!(open(&data.into()), Some(Ok(vec![Bytes::from_static(b"hi"), Bytes::from_static(b"yo")])));
    }

    #[test]
    fn what_is_packed_is_opened_and_what_is_not_is_left_alone() {
        let opened = open(&pack(&[b"one", b"", b"two"]).into());
        assert_eq!(opened, Some(Ok(["one", "", "two"].map(Bytes::from).to_vec())));
        assert_eq!(open(&Bytes::from_static(b"{\"a\":1}")), None);
        assert_eq!(open(&Bytes::from_static(&MAGIC)), None, "too short to hold a sum");
    }

    #[test]
    fn what_was_altered_on_the_way_is_broken() {
        for at in [4, 6, 12] {
            let mut data = pack(&[b"one"]);
            data[at] ^= 1;
            assert_eq!(open(&data.into()), Some(Err(Broken)), "byte {at}");
        }
        let no_message = [&MAGIC[..], &[0xFF; 8], &Md5::digest([0xFF; 8])[..]].concat();
        assert_eq!(open(&no_message.into()), Some(Err(Broken)));
    }
}
