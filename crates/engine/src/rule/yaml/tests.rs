//! What the tree holds, and where.

use proptest::prelude::*;

use super::*;

/// The tree as one line of text.
fn shown(node: &Node<'_>) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(Number::Whole(whole), _) => whole.to_string(),
        Value::Number(Number::Real(real), _) => format!("{real:?}"),
        Value::Text(text) => format!("{text:?}"),
        Value::List(elements) => format!("[{}]", elements.iter().map(shown).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => {
            let lines = entries.iter().map(|entry| format!("{}:{}", entry.key, shown(&entry.value)));
            format!("{{{}}}", lines.collect::<Vec<_>>().join(","))
        }
    }
}

fn fault(text: &str) -> String {
    let fault = read(text, 1).map(|_| ()).unwrap_err();
    crate::rule::place::Document { path: "a", first_line: 1, text }.problem(fault).to_string()
}

#[test]
fn plain_scalars_have_the_types_of_the_core_schema() {
    for (text, expected, reason) in [
        ("yes", "\"yes\"", "not a boolean since YAML 1.2"),
        ("on", "\"on\"", "nor this"),
        ("True", "true", "three spellings"),
        ("~", "null", "null"),
        ("''", "\"\"", "empty, not null"),
        ("443", "443", "a whole number"),
        ("'443'", "\"443\"", "quoted"),
        ("!!str 443", "\"443\"", "told to be text"),
        ("-7", "-7", "a sign"),
        ("0x1F", "31", "hexadecimal"),
        ("0o17", "15", "octal"),
        ("017", "17", "not octal since YAML 1.2"),
        ("1_000", "\"1_000\"", "nor are there underscores"),
        ("18446744073709551616", "18446744073709551616", "beyond 64 bits"),
        ("1.5", "1.5", "a real"),
        ("1e3", "1000.0", "with an exponent"),
        (".5", "0.5", "with nothing before the point"),
        (".inf", "\".inf\"", "no number to compare with"),
        ("1.2.3", "\"1.2.3\"", "a version"),
        ("2024-08-08", "\"2024-08-08\"", "a date"),
        ("-", "[null]", "an empty list element"),
        ("10.0.0.1", "\"10.0.0.1\"", "an address"),
        ("1e999", "\"1e999\"", "beyond every real"),
        ("12:30", "\"12:30\"", "not base 60 since YAML 1.2"),
    ] {
        assert_eq!(shown(&read(text, 1).unwrap().unwrap()), expected, "{text}: {reason}");
    }
}

#[test]
fn every_key_and_value_knows_its_place() {
    let text = "title: A\nlist:\n  - x\n  - {b: 1, 'c d': 2}\ntext: |\n  long\n";
    let root = read(text, 1).unwrap().unwrap();
    let entry = root.get("list").unwrap();
    assert_eq!((entry.place.line, entry.place.column), (2, 1));
    let Value::List(elements) = &entry.value.value else { panic!("a list") };
    assert_eq!((elements[0].place.line, elements[0].place.column), (3, 5));
    let inner = elements[1].get("c d").unwrap();
    assert_eq!((inner.place.line, inner.place.column, inner.value.place.column), (4, 12, 19));
    assert_eq!(root.get("text").unwrap().value.text(), Some("long\n"));
}

#[test]
fn aliases_stand_for_what_they_name_within_limits() {
    assert_eq!(shown(&read("a: &x [1, 2]\nb: *x\n", 1).unwrap().unwrap()), "{a:[1,2],b:[1,2]}");
    assert_eq!(fault("a: &x [1, *x]\n"), "a:1:11: an alias stands inside of what it names");
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let below = format!("*a{}", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 10].join(", "));
    }
    assert!(fault(&laughs).contains("more than 200000 values"));
}

#[test]
fn what_rules_may_not_be_is_refused_at_its_place() {
    assert_eq!(fault("a: 1\nb: 2\na: 3\n"), "a:3:1: key `a` stands here a second time; the first is in line 1");
    assert_eq!(fault("<<: {a: 1}\n"), "a:1:1: merge keys, `<<`, are not read; write the lines out");
    assert_eq!(fault("? [a]\n: 1\n"), "a:1:3: a key must be text, not a list or a mapping");
    let block: String = (0..70).map(|depth| format!("{}- \n", " ".repeat(depth))).collect();
    assert!(fault(&block).contains("nested deeper than 64"), "{}", fault(&block));
}

#[test]
fn usual_slips_are_told_with_their_remedy() {
    for (text, expected) in [
        (
            "s:\n  a: *.example.org\n",
            "a:2:6: this is no YAML: a value that begins with `*` stands in quotes; write `'*.example.org'`",
        ),
        ("s:\n  a: *\n", "a:2:6: this is no YAML: a value that begins with `*` stands in quotes; write `'*'`"),
        ("s:\n  - *x # y\n", "a:2:5: this is no YAML: a value that begins with `*` stands in quotes; write `'*x'`"),
        ("s:\n  a: %x%\n", "a:2:6: this is no YAML: a value that begins with `%` stands in quotes; write `'%x%'`"),
        ("s:\n  a: @x\n", "a:2:6: this is no YAML: a value that begins with `@` stands in quotes; write `'@x'`"),
        ("title: a: it's\n", "a:1:9: this is no YAML: a value with `: ` in it stands in quotes; write `'a: it''s'`"),
        ("title:\tx\n", "a:1:8: this is no YAML: a tab stands after the colon; write a blank"),
        ("s:\n\ta: x\n", "a:2:2: this is no YAML: a tab stands where only blanks may; indent with blanks"),
        (
            "s:\n  a: x\n   b: y\n",
            "a:3:5: this is no YAML: line 3 is indented by 3 blanks and line 2 before it by 2; line up what belongs together",
        ),
        (
            "s:\n    a: x\n    b: y\n   c: z\n",
            "a:4:4: this is no YAML: line 4 is indented by 3 blanks, and the lines before it that it could belong with by 0 or 4",
        ),
        (
            "d:\n    s:\n        l:\n            - a\n  c: s\n",
            "a:5:3: this is no YAML: line 5 is indented by 2 blanks, and the lines before it that it could belong with by 0 or 4",
        ),
        ("a: 'x\nb: y\nc: z'z\n", "a:1:4: this is no YAML: the quote that begins in line 1 is not closed"),
    ] {
        assert_eq!(fault(text), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\PC|[-:\\[\\]{}?&*!|>'\"%@`#, \n\t]){0,60}") {
        drop(read(&text, 1));
    }

    #[test]
    fn json_reads_as_itself(value in json()) {
        let text = value.to_string();
        prop_assert_eq!(read(&text, 1).unwrap().unwrap().json(), value);
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[ -~äß]{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}
