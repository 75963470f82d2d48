//! What each modifier and each kind of value means.

use super::matches;
use crate::event::Kind;
use crate::rule::{Given, Placeholders, RuleFile, RuleSet};

const HUGE: &str = "123456789012345678901234567890123456789012345678901234567890";

/// Checks `line`, the only one of a selection, against events: does it match, and why.
#[track_caller]
fn table(rows: &[(&str, &str, bool, &str)]) {
    for (line, event, expected, reason) in rows {
        let section = format!("selection:\n  {line}\ncondition: selection");
        assert_eq!(matches(&section, event), *expected, "{line} on {event}: {reason}");
    }
}

#[test]
fn plain_values_compare_whole_texts_without_letter_case() {
    table(&[
        ("a: Root", r#"{"a":"rOOT"}"#, true, "case is ignored"),
        ("a: Root", r#"{"a":"root "}"#, false, "the whole text counts"),
        ("a: ÄRGER", r#"{"a":"ärger"}"#, true, "case is ignored beyond ASCII"),
        ("a: Root", r#"{"A":"root"}"#, false, "field names have a case"),
        ("a: [x, y]", r#"{"a":"Y"}"#, true, "a list means any"),
        ("a: ''", r#"{"a":""}"#, true, "empty is empty"),
        ("a: ''", "{}", false, "absent is not empty"),
        ("a: ''", r#"{"a":null}"#, false, "null is not empty"),
        ("a: x", r#"{"a":["y","x"]}"#, true, "any element of an array"),
        ("a: x", r#"{"a":{"b":"x"}}"#, false, "an object has no text"),
        ("a.b: x", r#"{"a":[{"b":"y"},{"b":"x"}]}"#, true, "a path through an array"),
        ("a.b: x", r#"{"a.b":"x"}"#, true, "a key with a dot in it"),
        ("'a[0]': x", r#"{"a[0]":"x"}"#, true, "brackets are part of a name"),
        ("a|cased: Root", r#"{"a":"Root"}"#, true, "same case"),
        ("a|cased: Root", r#"{"a":"root"}"#, false, "other case"),
    ]);
}

#[test]
fn wildcards_stand_for_characters_unless_escaped() {
    table(&[
        ("a: 'ad*in'", r#"{"a":"Administrator-in"}"#, true, "a star takes any"),
        ("a: 'ad?in'", r#"{"a":"admin"}"#, true, "a question mark takes one"),
        ("a: 'ad?in'", r#"{"a":"adin"}"#, false, "and not none"),
        ("a: '*'", r#"{"a":""}"#, true, "a star takes nothing too"),
        ("a: '*'", "{}", false, "but wants a value"),
        (r"a: 'x\*y'", r#"{"a":"x*y"}"#, true, "an escaped star is a star"),
        (r"a: 'x\*y'", r#"{"a":"xzy"}"#, false, "and nothing else"),
        (r"a: 'x\\*'", r#"{"a":"x\\z"}"#, true, "an escaped backslash before a star"),
        (r"a: 'C:\Windows\*'", r#"{"a":"c:\\windows*"}"#, true, "backslash star is a star"),
        (r"a: 'C:\Win'", r#"{"a":"c:\\win"}"#, true, "a backslash before a letter is itself"),
        ("a: '*foo'", r#"{"a":"barFOO"}"#, true, "suffix"),
        ("a: 'foo*'", r#"{"a":"FOObar"}"#, true, "prefix"),
        ("a: '*foo*'", r#"{"a":"a foo b"}"#, true, "substring"),
        ("a|cased: 'F*'", r#"{"a":"foo"}"#, false, "case counts in patterns"),
    ]);
}

#[test]
fn numbers_booleans_and_null_compare_by_value_and_by_text() {
    table(&[
        ("a: 443", r#"{"a":443}"#, true, "number and number"),
        ("a: 443", r#"{"a":"443"}"#, true, "number and text"),
        ("a: '443'", r#"{"a":443}"#, true, "text and number"),
        ("a: 443", r#"{"a":443.0}"#, true, "the same number"),
        ("a: 443.0", r#"{"a":443}"#, true, "the same number"),
        ("a: 1.5", r#"{"a":"1.5"}"#, true, "a real and its text"),
        ("a: 0x1F", r#"{"a":31}"#, true, "hexadecimal is a number"),
        ("a: 0x1F", r#"{"a":"0x1f"}"#, true, "and the text that it is"),
        ("a: 007", r#"{"a":"007"}"#, true, "as it is written"),
        ("a: 1.10", r#"{"a":"1.10"}"#, true, "as it is written"),
        ("a: 2024-08-08", r#"{"a":"2024-08-08"}"#, true, "a day is text"),
        ("a: yes", r#"{"a":"yes"}"#, true, "yes is text"),
        ("a: yes", r#"{"a":true}"#, false, "and no boolean"),
        ("a: 36893488147419103232", r#"{"a":"36893488147419103232"}"#, true, "beyond 64 bits"),
        ("a: 443", r#"{"a":4430}"#, false, "another number"),
        ("a: 170141183460469231731687303715884105727", r#"{"a":1e300}"#, false, "a real beyond whole numbers"),
        ("a: 36893488147419103233", r#"{"a":36893488147419103233}"#, true, "beyond 64 bits, not in quotes"),
        ("a: 36893488147419103233", r#"{"a":36893488147419103232}"#, false, "its neighbour"),
        ("a|gt: 36893488147419103232", r#"{"a":36893488147419103233}"#, true, "in order"),
        ("a: '36893488147419103233'", r#"{"a":36893488147419103233}"#, true, "and text"),
        ("a|contains: '0323'", r#"{"a":36893488147419103233}"#, true, "as text"),
        (&format!("a: '{HUGE}'"), &format!(r#"{{"a":{HUGE}}}"#), true, "beyond 128 bits"),
        (&format!("a: {HUGE}"), &format!(r#"{{"a":{HUGE}1}}"#), false, "and another"),
        ("a|gt: 5", r#"{"a":1e400}"#, true, "more than a real holds"),
        ("b: x", r#"{"a":1e400,"b":"x"}"#, true, "hides nothing"),
        ("a: 1e400", r#"{"a":1e400}"#, true, "is its text"),
        ("a: true", r#"{"a":true}"#, true, "boolean"),
        ("a: true", r#"{"a":"True"}"#, true, "and its text"),
        ("a: 'false'", r#"{"a":false}"#, true, "text and boolean"),
        ("a: true", r#"{"a":1}"#, false, "one is not true"),
        ("a: null", "{}", true, "absent is null"),
        ("a: null", r#"{"a":null}"#, true, "null is null"),
        ("a: null", r#"{"a":""}"#, false, "empty is not null"),
        ("a: null", r#"{"a":[]}"#, true, "no element is absent"),
        ("a: [null, x]", r#"{"a":"x"}"#, true, "null in a list is one choice"),
        ("a: [null, x]", r#"{"a":"y"}"#, false, "and no other"),
        ("a|contains: 44", r#"{"a":1443}"#, true, "digits are text"),
    ]);
}

#[test]
fn substrings_and_affixes_are_found() {
    table(&[
        ("a|contains: ADMIN", r#"{"a":"superadmin-x"}"#, true, "inside"),
        ("a|contains: [p, q]", r#"{"a":"xQx"}"#, true, "any"),
        ("a|contains|all: [p, q]", r#"{"a":"xQx"}"#, false, "all means each"),
        ("a|contains|all: [p, q]", r#"{"a":"qp"}"#, true, "in any order"),
        ("a|contains|all: [p, q]", r#"{"a":["p","q"]}"#, true, "in any element"),
        ("a|contains: 'p*q'", r#"{"a":"-p--q-"}"#, true, "with wildcards"),
        ("a|contains: Ä", r#"{"a":"xäx"}"#, true, "beyond ASCII"),
        ("a|contains|cased: P", r#"{"a":"p"}"#, false, "with case"),
        ("a|contains: ''", r#"{"a":"x"}"#, true, "nothing is in everything"),
        ("a|startswith: [Ab, Cd]", r#"{"a":"cdef"}"#, true, "any start"),
        ("a|startswith: ab", r#"{"a":"xab"}"#, false, "not inside"),
        ("a|startswith: 'a?c'", r#"{"a":"abcd"}"#, true, "with wildcards"),
        ("a|endswith: .EXE", r#"{"a":"x.exe"}"#, true, "end"),
        ("a|endswith: .exe", r#"{"a":"exe"}"#, false, "shorter than the end"),
        ("a|endswith|cased: .exe", r#"{"a":"x.EXE"}"#, false, "with case"),
    ]);
}

#[test]
fn regular_expressions_are_found_anywhere_and_mind_the_case() {
    table(&[
        ("a|re: 'b+c'", r#"{"a":"abbcd"}"#, true, "anywhere"),
        ("a|re: '^b+c$'", r#"{"a":"abbcd"}"#, false, "unless anchored"),
        ("a|re: 'B'", r#"{"a":"b"}"#, false, "case counts"),
        ("a|re|i: 'B'", r#"{"a":"b"}"#, true, "unless told"),
        ("a|re: 'a.b'", "{\"a\":\"a\\nb\"}", false, "a dot is no line feed"),
        ("a|re|s: 'a.b'", "{\"a\":\"a\\nb\"}", true, "unless told"),
        ("a|re: '^b'", "{\"a\":\"a\\nb\"}", false, "one text"),
        ("a|re|m: '^b'", "{\"a\":\"a\\nb\"}", true, "unless told"),
        ("a|re: 'x\\*'", r#"{"a":"x*"}"#, true, "backslashes are the expression's"),
        ("a|re|all: ['^a', 'b$']", r#"{"a":"a-b"}"#, true, "all"),
        ("a|re: '^4'", r#"{"a":443}"#, true, "digits are text"),
    ]);
}

#[test]
fn networks_hold_addresses() {
    table(&[
        ("a|cidr: 10.0.0.0/8", r#"{"a":"10.200.0.1"}"#, true, "inside"),
        ("a|cidr: 10.0.0.0/8", r#"{"a":"11.0.0.1"}"#, false, "outside"),
        ("a|cidr: 10.0.0.0/8", r#"{"a":"cloudtrail.amazonaws.com"}"#, false, "no address"),
        ("a|cidr: [10.0.0.0/8, '2001:db8::/32']", r#"{"a":"2001:DB8::1"}"#, true, "version 6"),
        ("a|cidr: 10.0.0.0/8", r#"{"a":"::ffff:10.0.0.1"}"#, true, "version 4 in version 6"),
        ("a|cidr: 10.0.0.1", r#"{"a":"10.0.0.1"}"#, true, "one address"),
        ("a|cidr: '::ffff:10.0.0.0/104'", r#"{"a":"10.1.2.3"}"#, true, "a network of version 4 in version 6"),
        ("a|cidr: '::ffff:10.0.0.0/104'", r#"{"a":"::ffff:10.1.2.3"}"#, true, "both in version 6"),
        ("a|cidr: '::ffff:10.0.0.0/104'", r#"{"a":"::ffff:11.1.2.3"}"#, false, "outside"),
        ("a|cidr: '::ffff:10.0.0.1'", r#"{"a":"10.0.0.1"}"#, true, "one address in version 6"),
        ("a|cidr: '::/0'", r#"{"a":"::ffff:10.1.2.3"}"#, true, "every address of version 6"),
        ("a|cidr: '::/0'", r#"{"a":"10.1.2.3"}"#, false, "and none of version 4"),
    ]);
}

#[test]
fn numbers_compare_in_order() {
    table(&[
        ("a|gt: 5", r#"{"a":6}"#, true, "above"),
        ("a|gt: 5", r#"{"a":5}"#, false, "equal is not above"),
        ("a|gte: 5", r#"{"a":5.0}"#, true, "equal"),
        ("a|lt: 5.5", r#"{"a":"5"}"#, true, "digits are a number"),
        ("a|lte: 5", r#"{"a":"five"}"#, false, "words are not"),
        ("a|lt: 5", "{}", false, "absent is not less"),
        ("a|lt: 5", r#"{"a":null}"#, false, "nor is null"),
        ("a|lt: 5", r#"{"a":[9,1]}"#, true, "any element"),
    ]);
}

#[test]
fn neq_is_the_negation_of_the_line_without_it() {
    table(&[
        ("a|neq: x", r#"{"a":"y"}"#, true, "another value"),
        ("a|neq: x", r#"{"a":"X"}"#, false, "the value"),
        ("a|neq: x", "{}", true, "absent is not the value"),
        ("a|neq: [x, y]", r#"{"a":"y"}"#, false, "none of them"),
        ("a|contains|neq: x", r#"{"a":"axb"}"#, false, "of any modifier"),
        ("a|neq: x", r#"{"a":["x","y"]}"#, false, "one element is the value"),
        ("a|fieldref|neq: b", r#"{"a":"x","b":"y"}"#, true, "of another field"),
        ("a|neq: 5", r#"{"a":5.0}"#, false, "numbers"),
    ]);
}

#[test]
fn existence_asks_for_the_field_whatever_it_holds() {
    table(&[
        ("a|exists: true", r#"{"a":""}"#, true, "empty exists"),
        ("a|exists: true", r#"{"a":{}}"#, true, "an object exists"),
        ("a|exists: true", r#"{"a":null}"#, true, "null exists: its value does not matter"),
        ("a|exists: true", r#"{"a":[]}"#, true, "an empty array exists"),
        ("a|exists: false", r#"{"a":[]}"#, false, "an empty array exists"),
        ("a.b|exists: true", r#"{"a":[{"c":1},{"b":[]}]}"#, true, "in any element"),
        ("a.b|exists: true", r#"{"a":[{"c":1}]}"#, false, "in none"),
        ("a.b|exists: true", r#"{"a.b":null}"#, true, "as one key"),
        ("a|exists: false", "{}", true, "absent"),
        ("a|exists: false", r#"{"a":0}"#, false, "zero exists"),
    ]);
}

#[test]
fn encoded_values_are_searched_for() {
    table(&[
        ("a|base64: foo", r#"{"a":"Zm9v"}"#, true, "base64"),
        ("a|base64|contains: foo", r#"{"a":"xxZm9vxx"}"#, true, "inside"),
        ("a|base64offset|contains: 'secret'", r#"{"a":"YWJzZWNyZXQ="}"#, true, "absecret"),
        ("a|base64offset|contains: 'secret'", r#"{"a":"cHVibGlj"}"#, false, "public"),
        ("a|wide|base64offset|contains: 'ab'", r#"{"a":"YQBiAA=="}"#, true, "UTF-16 in base64"),
        ("a|utf16le|base64: 'ab'", r#"{"a":"YQBiAA=="}"#, true, "another name of it"),
        ("a|utf16be|base64: 'ab'", r#"{"a":"AGEAYg=="}"#, true, "the other order"),
    ]);
}

#[test]
fn any_dash_starts_an_option() {
    table(&[
        ("a|windash|contains: ' -enc '", r#"{"a":"x /ENC y"}"#, true, "a slash"),
        ("a|windash|contains: ' -enc '", "{\"a\":\"x \u{2014}enc y\"}", true, "a long dash"),
        ("a|contains|windash: '-a -b'", r#"{"a":"/a -b"}"#, true, "each on its own"),
        ("a|windash|contains: 'a-b'", r#"{"a":"a/b"}"#, true, "within a word, too"),
        ("a|windash: '/x'", r#"{"a":"-x"}"#, true, "from any of them"),
        ("a|windash|startswith: '-x'", r#"{"a":"/xy"}"#, true, "at a start"),
        ("a|windash|endswith: '-x'", r#"{"a":"y /x"}"#, true, "at an end"),
        ("a|windash: '-x'", r#"{"a":"+x"}"#, false, "a plus is none"),
        ("a|windash: '-x'", r#"{"a":"–x"}"#, true, "at the start"),
        ("a|windash|contains: -1", r#"{"a":"ping /1"}"#, true, "a number without quotes"),
    ]);
}

#[test]
fn parts_of_a_date_compare_as_numbers() {
    table(&[
        ("a|hour: 23", r#"{"a":"2024-08-08T23:59:01Z"}"#, true, "equal"),
        ("a|hour: [1, 23]", r#"{"a":"2024-08-08T23:59:01Z"}"#, true, "any of a list"),
        ("a|hour: '23'", r#"{"a":"2024-08-08T23:59:01Z"}"#, true, "digits"),
        ("a|hour: 22", r#"{"a":"2024-08-08T23:59:01Z"}"#, false, "another"),
        ("a|hour|gte: 22", r#"{"a":1700000000}"#, true, "compared"),
        ("a|hour|lt: 22", r#"{"a":1700000000}"#, false, "compared"),
        ("a|gt|month: 7", r#"{"a":"2024-08-08T23:59:01Z"}"#, true, "in any order"),
        ("a|day|neq: 8", r#"{"a":"2024-08-08T23:59:01Z"}"#, false, "negated"),
        ("a|week: 32", r#"{"a":["x","2024-08-08T23:59:01Z"]}"#, true, "any element"),
        ("a|year: 2024", r#"{"a":"yesterday"}"#, false, "no date has no year"),
    ]);
}

#[test]
fn another_field_may_hold_the_value() {
    table(&[
        ("a|fieldref: b", r#"{"a":"X","b":"x"}"#, true, "equal without case"),
        ("a|fieldref|cased: b", r#"{"a":"X","b":"x"}"#, false, "with case"),
        ("a|fieldref: b", r#"{"a":1,"b":"1"}"#, true, "by text"),
        ("a|fieldref: b", r#"{"a":"x"}"#, false, "absent"),
        ("a|fieldref: b.c", r#"{"a":["x","y"],"b":[{"c":"z"},{"c":"y"}]}"#, true, "any of any"),
        ("a|fieldref|startswith: b", r#"{"a":"abc","b":"AB"}"#, true, "starts with it"),
        ("a|fieldref|endswith: b", r#"{"a":"abc","b":"bc"}"#, true, "ends with it"),
        ("a|fieldref|contains: b", r#"{"a":"abc","b":"B"}"#, true, "contains it"),
    ]);
}

#[test]
fn two_fields_of_many_values_are_no_matter_of_pairs() {
    let values =
        |letter: char| (0..60_000).map(|number| format!("\"{letter}{number:05}\"")).collect::<Vec<_>>().join(",");
    let json = format!(r#"{{"a":[{},"B00007"],"b":[{}]}}"#, values('a'), values('b'));
    for modifier in ["", "|startswith", "|endswith", "|contains"] {
        let section = format!("s:\n  a|fieldref{modifier}: b\ncondition: s");
        assert!(matches(&section, &json), "{modifier}");
        assert!(!matches(&section, &json.replace("B00007", "x")), "{modifier}");
    }
}

#[test]
fn letter_case_is_ignored_character_by_character() {
    table(&[
        ("a: 'x?y'", "{\"a\":\"x\u{130}y\"}", true, "one character of the event"),
        ("a: 'x??y'", "{\"a\":\"x\u{130}y\"}", false, "and not two"),
        ("a: ΟΔΟΣ", r#"{"a":"οδος"}"#, true, "the sigma at the end of a word"),
        ("a|contains: ΔΟΣ", r#"{"a":"οδος α"}"#, true, "inside"),
        ("a|re|i: 'δοσ'", r#"{"a":"ΟΔΟς"}"#, true, "in an expression"),
        ("a|re|i: 'KELVIN'", "{\"a\":\"\u{212a}elvin\"}", true, "the Kelvin sign"),
        ("a: i", "{\"a\":\"\u{130}\"}", false, "a dotted capital i is two letters in lower case"),
    ]);
}

#[test]
fn lines_are_and_maps_in_a_list_are_or_and_keywords_search_every_string() {
    for (section, event, expected, reason) in [
        ("s: {a: x, b: y}\ncondition: s", r#"{"a":"x","b":"y"}"#, true, "both lines"),
        ("s: {a: x, b: y}\ncondition: s", r#"{"a":"x"}"#, false, "one line"),
        ("s: [{a: x}, {b: y}]\ncondition: s", r#"{"b":"y"}"#, true, "one of the maps"),
        ("s: [evil, bad]\ncondition: s", r#"{"a":[{"b":"so BAD"}]}"#, true, "a keyword deep inside"),
        ("s: ['e*l']\ncondition: s", r#"{"a":"an evil one"}"#, true, "a keyword with a wildcard"),
        ("s: evil\ncondition: s", r#"{"evil":"x"}"#, false, "names of fields are not searched"),
        ("s: [4711, x]\ncondition: s", r#"{"a":[4711]}"#, true, "a number is part of the event too"),
        ("s: {'|all': [evil, bad]}\ncondition: s", r#"{"a":"evil","b":"good"}"#, false, "all keywords"),
        ("s: {'|all': [evil, bad]}\ncondition: s", r#"{"a":"evil","b":"bad"}"#, true, "all keywords, anywhere"),
        ("s: {a: x}\nf: {b: y}\ncondition: s and not f", r#"{"a":"x","b":"z"}"#, true, "not"),
        ("s: {a: x}\nf: {b: y}\ncondition: s and not f", r#"{"a":"x","b":"y"}"#, false, "not"),
        ("s1: {a: x}\ns2: {b: y}\ncondition: 1 of s*", r#"{"b":"y"}"#, true, "one of"),
        ("s1: {a: x}\ns2: {b: y}\ncondition: all of s*", r#"{"b":"y"}"#, false, "all of"),
        ("s1: {a: x}\n_t: {b: y}\ncondition: all of them", r#"{"a":"x"}"#, true, "an underscore hides from them"),
        ("s1: {a: x}\ns2: {b: y}\ns3: {c: z}\ncondition: 2 of them", r#"{"a":"x","c":"z"}"#, true, "two of"),
        ("s1: {a: x}\ns2: {b: y}\ns3: {c: z}\ncondition: 2 of them", r#"{"c":"z"}"#, false, "two of"),
        ("s: {a: x}\nt: {b: y}\ncondition: [s, t]", r#"{"b":"y"}"#, true, "any condition of a list"),
        ("a: {a: 1}\nb: {b: 1}\nc: {c: 1}\ncondition: a or b and c", r#"{"a":1}"#, true, "and binds closer than or"),
    ] {
        assert_eq!(matches(section, event), expected, "{section} on {event}: {reason}");
    }
}

#[test]
fn placeholders_stand_for_the_values_that_the_user_gives() {
    let placeholders = Placeholders([("admins".to_owned(), vec!["root".to_owned(), "adm_*".to_owned()])].into());
    let given = Given { placeholders, ..Given::default() };
    for (line, json, expected, reason) in [
        ("a|expand: '%admins%'", r#"{"a":"ADM_eve"}"#, true, "a value is a pattern as in a rule"),
        ("a|expand: '%admins%'", r#"{"a":"eve"}"#, false, "neither"),
        ("a|expand|contains: '=%admins%;'", r#"{"a":"user=root;"}"#, true, "inside of a value"),
        ("a|contains|all|expand: ['%admins%', x]", r#"{"a":"x adm_1 y"}"#, true, "one of them, and the other value"),
        ("a|expand: [\"x\", '\\%admins%']", r#"{"a":"%admins%"}"#, true, "escaped"),
        ("a: '%admins%'", r#"{"a":"%admins%"}"#, true, "without the modifier it is text"),
    ] {
        let text = super::rule(&format!("s:\n  {line}\ncondition: s"));
        let (set, problems) = RuleSet::compile_with(&[RuleFile { path: "a.yml".to_owned(), text }], &given);
        assert_eq!(problems, [], "{line}");
        assert_eq!(!super::titles(&set, Kind::Json, json).is_empty(), expected, "{line} on {json}: {reason}");
    }
}
