use super::*;

/// `auto`, and every kind.
fn formats() -> impl Iterator<Item = Format> {
    Kind::ALL.into_iter().map(Format::Known).chain([Format::Auto])
}

/// What the normalisers look for.
const NAMES: [&str; 82] = [
    "Records",
    "logEvents",
    "messageType",
    "message",
    "timestamp",
    "eventId",
    "id",
    "detail",
    "detail-type",
    "CloudTrailEvent",
    "eventName",
    "eventVersion",
    "eventSource",
    "eventTime",
    "eventID",
    "userIdentity",
    "sessionContext",
    "sessionIssuer",
    "requestParameters",
    "instancesSet",
    "items",
    "resources",
    "headers",
    "body",
    "X-GitHub-Event",
    "repository",
    "sender",
    "action",
    "actor",
    "created_at",
    "@timestamp",
    "org",
    "repo",
    "workflow_run",
    "time",
    "type",
    "arn",
    "event",
    "responseElements",
    "received",
    "source",
    "account",
    "severity",
    "service",
    "serviceName",
    "object_kind",
    "event_name",
    "object_attributes",
    "project",
    "author_id",
    "entity_type",
    "details",
    "protoPayload",
    "methodName",
    "data",
    "messageId",
    "entries",
    "eventType",
    "published",
    "outcome",
    "target",
    "records",
    "operationName",
    "category",
    "properties",
    "resourceId",
    "kind",
    "apiVersion",
    "auditID",
    "verb",
    "stage",
    "user",
    "extra",
    "request",
    "auth",
    "metadata",
    "error",
    "log",
    "job",
    "logGroup",
    "line",
    "runner",
];

/// What they expect there.
const VALUES: [&str; 17] = [
    "DATA_MESSAGE",
    "AssumedRole",
    "2026-11-20T09:14:03Z",
    "arn:aws:sts::1:assumed-role/",
    "repo:a:b",
    "",
    "AuditLogs",
    "Event",
    "audit.k8s.io/v1",
    "request",
    "aws.codebuild",
    "/aws/codebuild/x",
    "section_start:1:a\r\u{1b}[",
    "/subscriptions//providers/",
    "eyJhIjoxfQ==",
    "..",
    "{\"log\":\"\"}",
];

/// Any JSON, with those names in all the wrong places.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
        prop::sample::select(&VALUES[..]).prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        let name = prop::sample::select(&NAMES[..]).prop_map(str::to_owned);
        let object = prop::collection::vec((name, inner.clone()), 0..6);
        prop_oneof![
            3 => object.prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            1 => inner.prop_map(|inner| inner.to_string().into()),
        ]
    })
}

/// The project's own samples, a line each.
const SAMPLES: [&str; 14] = [
    include_str!("../../../../../samples/aws.cloudtrail.jsonl"),
    include_str!("../../../../../samples/aws.eventbridge.jsonl"),
    include_str!("../../../../../samples/aws.guardduty.jsonl"),
    include_str!("../../../../../samples/azure.jsonl"),
    include_str!("../../../../../samples/ci.github.log"),
    include_str!("../../../../../samples/ci.log.jsonl"),
    include_str!("../../../../../samples/gcp.audit.jsonl"),
    include_str!("../../../../../samples/github.audit.jsonl"),
    include_str!("../../../../../samples/github.webhook.jsonl"),
    include_str!("../../../../../samples/gitlab.audit.jsonl"),
    include_str!("../../../../../samples/gitlab.webhook.jsonl"),
    include_str!("../../../../../samples/kubernetes.audit.jsonl"),
    include_str!("../../../../../samples/okta.system.jsonl"),
    include_str!("../../../../../samples/vault.audit.jsonl"),
];

/// What stands where something else is expected.
fn hostile() -> Vec<serde_json::Value> {
    let deep = (0..100).fold(serde_json::json!([]), |inner, _| serde_json::json!([inner]));
    let texts = [
        "",
        ".",
        "/",
        "//",
        ":",
        "\u{0}",
        "\u{1b}[",
        "{",
        "[{",
        "9999-12-31T23:59:59-23:59",
        "arn:aws:sts::1:assumed-role/",
    ];
    let texts = texts.map(serde_json::Value::from);
    let others = [
        serde_json::json!(null),
        serde_json::json!(true),
        serde_json::json!(-1),
        serde_json::json!(u64::MAX),
        serde_json::json!(1e308),
        serde_json::json!([]),
        serde_json::json!({}),
        serde_json::json!([null, {"": ""}]),
        serde_json::json!("ä".repeat(100_000)),
        deep,
    ];
    texts.into_iter().chain(others).collect()
}

/// Every value of a document in turn, by its JSON pointer.
fn places(document: &serde_json::Value, here: String, found: &mut Vec<String>) {
    let child = |name: &str| format!("{here}/{}", name.replace('~', "~0").replace('/', "~1"));
    match document {
        serde_json::Value::Object(members) => {
            members.iter().for_each(|(name, member)| places(member, child(name), found));
        }
        serde_json::Value::Array(elements) => {
            elements.iter().enumerate().for_each(|(number, one)| places(one, child(&number.to_string()), found));
        }
        _ => {}
    }
    found.push(here);
}

fn depth_of(document: &serde_json::Value) -> usize {
    match document {
        serde_json::Value::Array(elements) => 1 + elements.iter().map(depth_of).max().unwrap_or(0),
        serde_json::Value::Object(members) => 1 + members.values().map(depth_of).max().unwrap_or(0),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn any_bytes_are_normalised_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        for format in formats() {
            run(format, &body);
        }
    }

    #[test]
    fn any_json_is_normalised_without_a_panic(document in document(), cut in any::<prop::sample::Index>()) {
        let text = document.to_string();
        for body in [text.as_bytes(), &text.as_bytes()[..cut.index(text.len() + 1)]] {
            for format in formats() {
                let (events, rejects) = run(format, body);
                events.iter().for_each(|event| drop(facets(event)));
                prop_assert!(rejects.iter().all(|reject| reject.head.len() <= HEAD_BYTES));
            }
        }
    }

    #[test]
    fn a_record_with_anything_in_the_place_of_anything_is_normalised_without_a_panic(
        line in prop::sample::select(SAMPLES.iter().flat_map(|text| text.lines()).collect::<Vec<_>>()),
        place in any::<prop::sample::Index>(),
        hostile in prop::sample::select(hostile()),
    ) {
        let Ok(mut record) = serde_json::from_str::<serde_json::Value>(line) else { return Ok(()) };
        let mut found = Vec::new();
        places(&record, String::new(), &mut found);
        *record.pointer_mut(&found[place.index(found.len())]).unwrap() = hostile;
        for format in formats() {
            let (events, _) = run(format, record.to_string().as_bytes());
            events.iter().for_each(|event| drop(facets(event)));
        }
    }

    #[test]
    fn any_text_of_a_pipeline_is_told_line_by_line(text in "([ -~\u{1b}\t\r\n]|##\\[group\\]|section_start:|\\[Container\\] |2026-11-20T09:14:03.1234567Z ){0,60}") {
        let text = format!("2026-11-20T09:14:03.1234567Z x\n{text}");
        let (events, rejects) = run(Format::Known(Kind::CiLog), text.as_bytes());
        prop_assert!(!events.is_empty() && rejects.is_empty(), "{rejects:?}");
        let positions: std::collections::BTreeSet<&str> = events.iter().map(|event| event.uid.id.as_str()).collect();
        prop_assert_eq!(positions.len(), events.len());
        events.iter().for_each(|event| drop(facets(event)));
    }

    #[test]
    fn nothing_that_is_not_blank_or_empty_vanishes(document in document()) {
        let body = document.to_string();
        let (events, rejects) = run(Format::Known(Kind::Json), body.as_bytes());
        prop_assert_eq!(events.is_empty() && rejects.is_empty(), is_hollow(&document, 5));
    }

    #[test]
    fn the_depth_scan_agrees_with_the_recursive_definition(document in document()) {
        let depth = depth_of(&document);
        for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap()] {
            prop_assert!(scan::check(text.as_bytes(), depth).is_ok());
            prop_assert_eq!(depth > 0, depth > 0 && scan::check(text.as_bytes(), depth - 1).is_err());
        }
    }

    #[test]
    fn the_elements_of_an_array_are_those_that_a_parser_finds(elements in prop::collection::vec(document(), 0..5)) {
        let text = serde_json::to_string_pretty(&elements).unwrap();
        let mut cut = scan::Elements::of_array(text.as_bytes()).unwrap();
        let found: Vec<serde_json::Value> = cut.by_ref().map(|element| serde_json::from_slice(element).unwrap()).collect();
        let expected: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(found, expected);
        prop_assert!(cut.fault().is_none());
    }
}

/// Arrays that hold nothing but such arrays, as deep as wrappers are opened.
fn is_hollow(document: &serde_json::Value, nesting: usize) -> bool {
    match document {
        serde_json::Value::Array(elements) => {
            nesting > 1 && elements.iter().all(|element| is_hollow(element, nesting - 1))
        }
        _ => false,
    }
}
