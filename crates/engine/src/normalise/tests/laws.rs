use super::*;

const FORMATS: [Format; 5] = [
    Format::Auto,
    Format::Known(Kind::AwsCloudtrail),
    Format::Known(Kind::GithubAudit),
    Format::Known(Kind::GithubWebhook),
    Format::Known(Kind::Json),
];

/// Any JSON, with the names that the normalisers look for in all the wrong places.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let names = [
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
    ];
    let values =
        ["DATA_MESSAGE", "AssumedRole", "2026-11-20T09:14:03Z", "arn:aws:sts::1:assumed-role/", "repo:a:b", ""];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
        prop::sample::select(values.to_vec()).prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        let name = prop::sample::select(names.to_vec()).prop_map(str::to_owned);
        let object = prop::collection::vec((name, inner.clone()), 0..6);
        prop_oneof![
            3 => object.prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            1 => inner.prop_map(|inner| inner.to_string().into()),
        ]
    })
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
        for format in FORMATS {
            run(format, &body);
        }
    }

    #[test]
    fn any_json_is_normalised_without_a_panic(document in document(), cut in any::<prop::sample::Index>()) {
        let text = document.to_string();
        for body in [text.as_bytes(), &text.as_bytes()[..cut.index(text.len() + 1)]] {
            for format in FORMATS {
                let (events, rejects) = run(format, body);
                events.iter().for_each(|event| drop(facets(event)));
                prop_assert!(rejects.iter().all(|reject| reject.head.len() <= HEAD_BYTES));
            }
        }
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
