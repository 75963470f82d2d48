use super::*;

fn nested(open: &str, close: &str, depth: usize) -> Vec<u8> {
    format!("{}1{}", open.repeat(depth), close.repeat(depth)).into_bytes()
}

#[test]
fn bad_records_are_rejected_with_their_reason() {
    use RejectReason::{Depth, Encoding, Shape, Size, Syntax, Time};
    let inside = |text: Vec<u8>| {
        let message = serde_json::to_string(&String::from_utf8(text).unwrap()).unwrap();
        format!(r#"{{"eventId":"1","timestamp":1,"message":{message}}}"#).into_bytes()
    };
    let long = format!(r#"{{"eventName":"{}"}}"#, "x".repeat(2 << 20));
    let table: Vec<(&str, Vec<u8>, RejectReason)> = vec![
        ("deep array", nested("[", "]", 10_000), Depth),
        ("deep object", nested(r#"{"a":"#, "}", 10_000), Depth),
        ("deep, never closed", b"{\"a\":".repeat(10_000), Depth),
        ("deep in a message", inside(nested(r#"{"a":"#, "}", 10_000)), Depth),
        ("one level too deep", nested(r#"{"a":"#, "}", 129), Depth),
        ("NUL in a string", b"{\"eventName\":\"a\0b\"}".to_vec(), Encoding),
        ("NUL behind a backslash", b"{\"eventName\":\"a\\\0b\"}".to_vec(), Encoding),
        ("NUL alone", vec![0], Encoding),
        ("invalid UTF-8", b"{\"eventName\":\"\xff\"}".to_vec(), Encoding),
        ("2 MiB", long.into_bytes(), Size),
        ("truncated", br#"{"eventName":"X","eventTi"#.to_vec(), Syntax),
        ("words", b"connection reset by peer".to_vec(), Syntax),
        ("two records", br#"{"eventName":"X"}{"eventName":"Y"}"#.to_vec(), Syntax),
        ("words in a message", inside(b"hello".to_vec()), Syntax),
        ("number", b"17".to_vec(), Shape),
        ("string", br#""eventName""#.to_vec(), Shape),
        ("null", b"null".to_vec(), Shape),
        ("empty object", b"{}".to_vec(), Shape),
        ("name of another type", br#"{"eventName":["X"],"eventTime":"2026-11-20T09:14:03Z"}"#.to_vec(), Shape),
        ("no time", br#"{"eventName":"X"}"#.to_vec(), Time),
        ("time of another type", br#"{"eventName":"X","eventTime":{"a":1}}"#.to_vec(), Time),
        ("time that is none", br#"{"eventName":"X","eventTime":"2026-13-40T09:14:03Z"}"#.to_vec(), Time),
    ];
    for (case, body, reason) in table {
        let (events, rejects) = run(Format::Known(Kind::AwsCloudtrail), &body);
        assert!(events.is_empty(), "{case}");
        let reasons: Vec<_> = rejects.iter().map(|reject| reject.reason).collect();
        assert_eq!(reasons, [reason], "{case}");
        assert!(rejects[0].head.len() <= HEAD_BYTES, "{case}");
    }
}

#[test]
fn a_time_that_cannot_be_written_down_again_is_rejected() {
    use Kind::{AwsCloudtrail, GithubAudit, GithubWebhook, Json};
    for (kind, body) in [
        (AwsCloudtrail, r#"{"eventName":"X","eventTime":"9999-12-31T23:59:59-01:00"}"#),
        (AwsCloudtrail, r#"{"eventName":"X","eventTime":"0000-01-01T00:00:00+01:00"}"#),
        (AwsCloudtrail, r#"{"eventName":"X","eventTime":"2201-01-01T00:00:00Z"}"#),
        (Json, r#"{"timestamp":-99999999999}"#),
        (Json, r#"{"timestamp":-1}"#),
        (Json, r#"{"timestamp":99999999999.5}"#),
        (Json, r#"{"timestamp":9223372036854775807}"#),
        (GithubAudit, r#"{"action":"x","created_at":-1763630043123}"#),
        (GithubWebhook, r#"{"repository":{"pushed_at":99999999999},"after":"abc"}"#),
    ] {
        let (events, rejects) = run(Format::Known(kind), body.as_bytes());
        assert!(events.is_empty(), "{body} {events:?}");
        assert_eq!(rejects.iter().map(|reject| reject.reason).collect::<Vec<_>>(), [RejectReason::Time], "{body}");
    }
    let (events, _) = run(Format::Known(Json), br#"{"timestamp":"2200-12-31T23:59:59.999999Z"}"#);
    assert_eq!(events[0].time, Timestamp::LATEST);
}

#[test]
fn the_deepest_allowed_record_is_read() {
    let body = format!(r#"{{"time":1,"a":{}}}"#, String::from_utf8(nested("[", "]", 127)).unwrap());
    assert_eq!(run(Format::Known(Kind::Json), body.as_bytes()).0.len(), 1);
}

#[test]
fn a_document_that_is_cut_off_gives_what_is_whole_and_says_so() {
    let record = r#"{"eventName":"X","eventTime":"2026-11-20T09:14:03Z"}"#;
    let table = [
        (format!(r#"{{"Records":[{record},{record}"#), 2, 1),
        (format!(r#"{{"Records":[{record},{{"eventName":"Y","#), 1, 2),
        (format!(r#"{{"Records":[{record}]"#), 1, 1),
        (format!(r#"{{"Records":[{record}]}}{{"Records":[{record}]}}"#), 1, 1),
        (format!("[{record}],[{record}]"), 1, 1),
        (format!("[{record},"), 1, 1),
    ];
    for (body, events_expected, rejects_expected) in table {
        let (events, rejects) = run(Format::Known(Kind::AwsCloudtrail), body.as_bytes());
        assert_eq!((events.len(), rejects.len()), (events_expected, rejects_expected), "{body} {rejects:?}");
    }
}

#[test]
fn odd_but_valid_json_is_read() {
    let table = [
        ("number beyond 64 bits", r#"{"time":1,"a":123456789012345678901234567890}"#),
        ("number beyond negative 64 bits", r#"{"time":1,"a":-123456789012345678901234567890}"#),
        ("duplicate keys", r#"{"time":1,"a":1,"a":{"a":2,"a":3}}"#),
        ("half a surrogate pair", r#"{"time":1,"a":"\ud83d and \udc00"}"#),
        ("escaped NUL", r#"{"time":1,"a":"\u0000"}"#),
    ];
    for (case, body) in table {
        let (events, rejects) = run(Format::Known(Kind::Json), body.as_bytes());
        assert_eq!((events.len(), rejects.len()), (1, 0), "{case} {rejects:?}");
    }
}

#[test]
fn no_depth_setting_lets_the_parser_overflow() {
    let (mut events, mut rejects) = (Vec::new(), Vec::new());
    let limits = Limits { depth: usize::MAX, bytes: usize::MAX };
    normalise(Format::Auto, &nested(r#"{"a":"#, "}", 100_000), "f:1", &limits, &mut events, &mut rejects);
    assert_eq!(rejects[0].reason, RejectReason::Depth);
}

#[test]
fn a_body_of_thousands_of_faults_is_told_in_a_thousand_and_a_sum() {
    let body = format!("[{}0]", "0,".repeat(5_000));
    let (_, rejects) = run(Format::Auto, body.as_bytes());
    assert_eq!(rejects.len(), REJECTS_MAX + 1);
    assert_eq!(rejects[REJECTS_MAX].detail, "4001 more records of this body are as bad");
}

#[test]
fn the_head_of_a_reject_is_short_and_holds_no_secret() {
    let body = format!(r#"{{"clientSecret":"s3cr3t-{}"#, "x".repeat(9_000));
    let (_, rejects) = run(Format::Auto, body.as_bytes());
    assert_eq!(rejects[0].head, br#"{"clientSecret":"[redacted secret]"#);
    assert!(!rejects[0].detail.contains("s3cr3t"), "{}", rejects[0].detail);
}
