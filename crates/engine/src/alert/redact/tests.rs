use proptest::prelude::*;
use sonic_rs::Value;

use super::{TRACES, after_look, is_plain, label, redact, redact_unread};

#[test]
fn secrets_are_replaced_wherever_they_stand() {
    let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJsYXB3aW5nIn0.c2lnbmF0dXJl";
    let table = [
        ("member", r#"{"clientSecret":"a1b2"}"#.to_owned(), r#"{"clientSecret":"[redacted secret]"}"#),
        ("spaces", r#"{"db_password" : "a b\"c"}"#.to_owned(), r#"{"db_password" : "[redacted password]"}"#),
        (
            "aws key",
            format!(r#"{{"secretAccessKey":"{}"}}"#, "x/+Y".repeat(10)),
            r#"{"secretAccessKey":"[redacted secret key]"}"#,
        ),
        (
            "carrier",
            r#"{"secretString":"{\"u\":\"v\"}","x":1}"#.to_owned(),
            r#"{"secretString":"[redacted secret]","x":1}"#,
        ),
        (
            "in a string",
            r#"{"m":"{\"token\":\"ab\\\"c\",\"n\":1}"}"#.to_owned(),
            r#"{"m":"{\"token\":\"[redacted token]\",\"n\":1}"}"#,
        ),
        ("in a string, open", r#"{"m":"\"token\":\"abc"}"#.to_owned(), r#"{"m":"\"token\":\"[redacted token]"}"#),
        ("cut", r#"{"sessionToken":"IQoJb3"#.to_owned(), r#"{"sessionToken":"[redacted token]"#),
        (
            "pair",
            r#"[{"name":"DB_PASSWORD","value":"hunter22"}]"#.to_owned(),
            r#"[{"name":"DB_PASSWORD","value":"[redacted password]"}]"#,
        ),
        ("assigned", "run DB_PASSWORD=hunter22 now".to_owned(), "run DB_PASSWORD=[redacted password] now"),
        ("query", "/x?access_token=abcdef&page=2".to_owned(), "/x?access_token=[redacted token]&page=2"),
        ("option", "mysql --password hunter22 db".to_owned(), "mysql --password [redacted password] db"),
        ("github", format!("use ghp_{} now", "aB3".repeat(12)), "use ghp_[redacted github token] now"),
        ("newline", format!(r#"{{"a":"x\nnpm_{}"}}"#, "aB3".repeat(12)), r#"{"a":"x\nnpm_[redacted token]"}"#),
        ("escape", format!(r#"{{"a":"\npm_{}"}}"#, "aB3".repeat(12)), r#"{"a":"\npm_[redacted token]"}"#),
        ("slack", "xoxb-123456789012-abcdef".to_owned(), "xoxb-[redacted slack token]"),
        (
            "slack hook",
            "https://hooks.slack.com/services/T0/B0/xyz".to_owned(),
            "https://hooks.slack.com/services/[redacted slack webhook]",
        ),
        ("jwt", format!("claims {jwt}."), "claims [redacted jwt]."),
        ("header", "Authorization: Bearer abcdefgh12345678".to_owned(), "Authorization: Bearer [redacted credential]"),
        ("url", "https://ana:hunter22@example.org/x".to_owned(), "https://ana:[redacted password]@example.org/x"),
        (
            "pem",
            r#"{"k":"-----BEGIN EC PRIVATE KEY-----\nMHc+/=\n-----END EC PRIVATE KEY-----\n"}"#.to_owned(),
            r#"{"k":"[redacted private key]\n"}"#,
        ),
        ("pem, cut", "-----BEGIN PRIVATE KEY-----\nMHc".to_owned(), "[redacted private key]"),
    ];
    for (reason, text, clean) in table {
        assert_eq!(redact(&text), clean, "{reason}");
        assert_eq!(redact(clean), clean, "{reason}: again");
    }
}

#[test]
fn tokens_are_known_by_their_issuer_and_values_by_their_label() {
    let table = [
        ("label", "Password: hunter22 is new".to_owned(), "Password: [redacted password] is new"),
        ("label, quoted", r#"{"m":"api_key: \"a1b2c3d4\""}"#.to_owned(), r#"{"m":"api_key: \"[redacted api key]\""}"#),
        ("hugging face", format!("hf_{}", "aBcDe".repeat(7).get(..34).unwrap()), "hf_[redacted token]"),
        ("runner", format!("glrt-{}", "aB3_".repeat(5)), "glrt-[redacted token]"),
        ("google", format!("key AIza{}", "aB3_x".repeat(7)), "key AIza[redacted token]"),
        (
            "terraform",
            format!("abcdefghij1234.atlasv1.{}", "aB3".repeat(20)),
            "abcdefghij1234.atlasv1.[redacted token]",
        ),
        (
            "storage",
            format!("AccountName=x;AccountKey={}==;", "aB3/".repeat(21)),
            "AccountName=x;AccountKey=[redacted azure key];",
        ),
        ("shared access", format!("?sv=1&sig={}&se=2", "aB3%2F".repeat(8)), "?sv=1&sig=[redacted azure key]&se=2"),
        ("entra", format!("abc8Q~{}", "aB3~x".repeat(7).get(..34).unwrap()), "abc8Q~[redacted azure secret]"),
    ];
    for (reason, text, clean) in table {
        assert_eq!(redact(&text), clean, "{reason}");
        assert_eq!(redact(clean), clean, "{reason}: again");
    }
}

#[test]
fn every_name_of_a_secret_passes_the_first_look() {
    for (ending, _) in super::ENDINGS {
        assert!(super::NAMES.is_match(ending), "{ending}");
    }
}

#[test]
fn no_trace_begins_with_another_as_only_one_would_be_seen_there() {
    for (place, (word, _)) in TRACES.iter().enumerate() {
        assert!(
            TRACES.iter().enumerate().all(|(other, (long, _))| other == place || !long.starts_with(word)),
            "{word}"
        );
    }
}

#[test]
fn of_what_nobody_could_read_the_text_of_a_key_is_hidden_too() {
    let line = "aB3/".repeat(16);
    assert_eq!(redact_unread(&format!("{{\"log\": \"{line}\"")), "{\"log\": \"[redacted]\"");
    let digest = "0123456789abcdef".repeat(4);
    assert_eq!(redact_unread(&digest), digest);
    assert_eq!(redact(&line), line, "what can be read may hold such words");
}

#[test]
fn what_only_identifies_stays() {
    let texts = [
        r#"{"secretId":"prod/db","secretArn":"arn:aws:secretsmanager:eu-west-1:1:secret:x","tokenId":"t-1"}"#,
        r#"{"hashed_token":"aGFzaA==","nextToken":"AAAB","clientRequestToken":"6ff0","token_scopes":"repo"}"#,
        r#"{"accessKeyId":"AKIAIOSFODNN7EXAMPLE","passwordLastUsed":"2026-11-20T09:14:03Z"}"#,
        r#"{"password":"HIDDEN_DUE_TO_SECURITY_REASONS","userData":"***","adminPassword":"***"}"#,
        r#"{"httpTokens":"required","requirePassword":"true","secret":"arn:aws:x","GetSigninToken":"Success","token":5,"authorization": 1234567890123456}"#,
        r#"{"policyDocument":"{\"Action\":\"secretsmanager:GetSecretValue\",\"Resource\":\"*\"}"}"#,
        "https://example.org:8443/a@b",
        r#"{"a":"token=","b":"password:"}"#,
        "hf_requiredCharacteristicTypesForDisplayMetadata",
        "password: expired, token: t-1, a signature sig=short and Secret: none",
    ];
    for text in texts {
        assert_eq!(redact(text), text);
    }
}

/// Pieces that secrets are made of, and what breaks naive replacement.
fn fragment() -> impl Strategy<Value = String> {
    let pieces = [
        "password",
        "token=",
        "\"",
        "\\",
        "\n",
        ":",
        "secretAccessKey",
        "\":\"",
        "{\"token\":\"",
        "\"}",
        "ghp_",
        "npm_",
        "aB3aB3aB3aB3aB3aB3aB3aB3",
        "eyJhbGciOiJ9.eyJzdWIiOiJ9x",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "Authorization: ",
        "Bearer ",
        "https://u:",
        "https:\\/\\/u:",
        "xoxb-",
        "ABSK",
        "@",
        "\u{e9}",
        "\u{0}",
        " ",
        ",",
        "{\"name\":\"PASSWORD\",\"value\":\"",
        "--secret ",
        "hooks.slack.com/services/",
        "/",
        "glrt-",
        "AIza",
        ".atlasv1.",
        "abc8Q~",
        "AccountKey=",
        "&sig=",
        "/api/webhooks/1234567890/",
        "Password: ",
        "token : \\\"",
    ];
    prop_oneof![4 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(fragment(), 0..8).prop_map(|pieces| pieces.concat())
}

fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        text().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
    ];
    let name =
        prop_oneof![text(), prop::sample::select(vec!["token", "my_secret", "name", "value"]).prop_map(str::to_owned)];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let object = prop::collection::vec((name.clone(), inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            object.prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
            inner.prop_map(|inner| inner.to_string().into()),
        ]
    })
}

proptest! {
    #[test]
    fn valid_json_stays_valid_json(document in document(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) }.unwrap();
        let clean = redact(&text);
        prop_assert!(sonic_rs::from_str::<Value>(&clean).is_ok(), "{text}\nbecame\n{clean}");
    }

    #[test]
    fn a_search_that_is_left_out_would_have_found_nothing(text in text()) {
        prop_assert_eq!(redact(&text), after_look(&text, u16::MAX));
    }

    #[test]
    fn any_text_is_redacted_without_a_panic(text in text()) {
        prop_assert_eq!(redact(&text), redact(&text));
    }

    #[test]
    fn what_is_redacted_leaves_a_trace_that_labels_look_for(text in text()) {
        prop_assert!(redact(&text) == text || !is_plain(&text), "{text}");
    }

    #[test]
    fn a_named_secret_never_survives_whatever_it_is_wrapped_in(secret in "[a-z]{12}[\"\\\\]?[A-Z]{4}", levels in 0_usize..4) {
        let mut text = serde_json::json!({"clientSecret": secret}).to_string();
        for _ in 0..levels {
            text = serde_json::json!({"message": text}).to_string();
        }
        let clean = redact(&text);
        prop_assert!(!clean.contains(&secret[..12]), "{clean}");
        prop_assert!(!clean.contains(&secret[secret.len() - 4..]), "{clean}");
    }
}

#[test]
fn a_label_hides_secrets_and_keeps_different_values_apart() {
    let token = |last: char| format!("curl/8 ghp_{}{last}", "a1B2".repeat(9).get(..35).unwrap());
    let (one, other) = (label(&token('x')), label(&token('y')));
    assert!(!one.contains("a1B2"), "{one}");
    assert_ne!(one, other);
    assert_eq!(label("arn:aws:iam::111122223333:user/ana"), "arn:aws:iam::111122223333:user/ana");
    assert_ne!(label(&"k".repeat(600)), label(&"k".repeat(601)));
    assert!(label(&"k".repeat(100_000)).len() < 600);
}
