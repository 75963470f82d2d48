use insta::assert_snapshot;

use super::*;
use crate::detect::{Count, sight};
use crate::event::LogSource;
use crate::normalise::{Format, Limits};
use crate::rule::tests::{event, rule, titles};
use crate::rule::{Given, RuleSet, Scratch};

const SHIPPED: [&str; 16] = [
    include_str!("../../../../../mappings/aws.cloudtrail.yml"),
    include_str!("../../../../../mappings/aws.eventbridge.yml"),
    include_str!("../../../../../mappings/aws.guardduty.yml"),
    include_str!("../../../../../mappings/azure.activity.yml"),
    include_str!("../../../../../mappings/azure.audit.yml"),
    include_str!("../../../../../mappings/azure.signin.yml"),
    include_str!("../../../../../mappings/ci.log.yml"),
    include_str!("../../../../../mappings/gcp.audit.yml"),
    include_str!("../../../../../mappings/github.audit.yml"),
    include_str!("../../../../../mappings/github.webhook.yml"),
    include_str!("../../../../../mappings/gitlab.audit.yml"),
    include_str!("../../../../../mappings/gitlab.webhook.yml"),
    include_str!("../../../../../mappings/json.yml"),
    include_str!("../../../../../mappings/kubernetes.audit.yml"),
    include_str!("../../../../../mappings/okta.system.yml"),
    include_str!("../../../../../mappings/vault.audit.yml"),
];

fn file(path: &str, text: &str) -> RuleFile {
    RuleFile { path: path.to_owned(), text: text.to_owned() }
}

#[track_caller]
fn given(text: &str) -> Given {
    let (mappings, problems) = Mappings::read(&[file("m.yml", text)], &[]);
    assert_eq!(problems, [], "{text}");
    Given { mappings, ..Given::default() }
}

fn shipped() -> Given {
    given(&SHIPPED.join("---\n"))
}

#[track_caller]
fn compiled(text: &str, given: &Given) -> RuleSet {
    let (set, problems) = RuleSet::compile_with(&[file("a.yml", text)], given);
    assert_eq!(problems, [], "{text}");
    set
}

/// What the files say is wrong, a line each.
fn faults(shipped: &str, own: &[&str]) -> String {
    let own: Vec<RuleFile> = (1..).zip(own).map(|(number, text)| file(&format!("own{number}.yml"), text)).collect();
    let (_, problems) = Mappings::read(&[file("shipped.yml", shipped)], &own);
    problems.iter().map(|problem| format!("{:?} {problem}\n", problem.weight)).collect()
}

#[test]
fn a_rule_reads_all_names_of_a_field() {
    let given = given("kind: json\nfields: {ip: [source.ip, src.ip], 'p.*': ['q.*', 'r.s.*'], p.x: [short]}");
    for (line, json, expected, reason) in [
        ("ip: x", r#"{"source":{"ip":"x"}}"#, true, "the vendor's name reads another"),
        ("source.ip: x", r#"{"ip":"x"}"#, true, "another name reads the vendor's"),
        ("src.ip: x", r#"{"source.ip":"x"}"#, true, "and a third one, dots and all"),
        ("src.ip: x", r#"{"source":{"ip":"x"},"ip":"y"}"#, false, "the file's order decides between two others"),
        ("src.ip: x", r#"{"source":{"ip":"y"},"src":{"ip":"x"}}"#, true, "the rule's own name comes first"),
        ("ip: x", r#"{"ip":null,"source":{"ip":"x"}}"#, false, "null is a value"),
        ("ip: x", r#"{"ip":[],"source":{"ip":"x"}}"#, false, "so is a list without elements"),
        ("ip: x", r#"{"ip":{"a":1},"source":{"ip":"x"}}"#, true, "an object is none"),
        ("ip: x", r#"{"ip":[{"a":1}],"source":{"ip":"x"}}"#, true, "nor are several"),
        ("ip: x", r#"{"source":[{"ip":"y"},{"ip":["x"]}]}"#, true, "any element"),
        ("ip|exists: true", r#"{"src":{"ip":null}}"#, true, "whatever it holds"),
        ("ip|exists: false", r#"{"src":{"ip":1}}"#, false, "it is there"),
        ("ip|exists: true", r#"{"ip":{}}"#, true, "an object is there, if no other name is"),
        ("ip: null", r#"{"src":{"ip":"x"}}"#, false, "it has a value"),
        ("ip: null", r#"{"a":1}"#, true, "neither name"),
        ("ip|neq: x", r#"{"src":{"ip":"x"}}"#, false, "it is no different"),
        ("b|fieldref: ip", r#"{"b":"x","src":{"ip":"x"}}"#, true, "the field that is compared with"),
        ("src.ip|fieldref: b", r#"{"b":"x","ip":"x"}"#, true, "the field that is compared"),
        ("p.a.b: x", r#"{"q":{"a":{"b":"x"}}}"#, true, "a star stands for any rest"),
        ("q.a: x", r#"{"r":{"s":{"a":"x"}}}"#, true, "in each name of the line"),
        ("r.s.a: x", r#"{"p.a":"x"}"#, true, "and back"),
        ("q.x: y", r#"{"short":"y"}"#, true, "what it stands for may have names of its own"),
        ("short: y", r#"{"r.s.x":"y"}"#, true, "and back"),
        ("p.: x", r#"{"q.":"x"}"#, false, "but not for nothing"),
    ] {
        let set = compiled(&rule(&format!("s:\n  {line}\ncondition: s")), &given);
        assert_eq!(!titles(&set, Kind::Json, json).is_empty(), expected, "{line} on {json}: {reason}");
    }
}

#[test]
fn a_mapping_is_for_its_kind_of_log_alone() {
    let set =
        compiled(&rule("s: {source.ip: x}\ncondition: s"), &given("kind: aws.cloudtrail\nfields: {ip: source.ip}"));
    assert_eq!(titles(&set, Kind::AwsCloudtrail, r#"{"ip":"x"}"#), ["A"]);
    assert!(titles(&set, Kind::Json, r#"{"ip":"x"}"#).is_empty());
}

#[test]
fn plain_json_has_the_mapping_of_the_log_that_it_is_read_as() {
    let text = format!("{}logsource: {{product: aws, service: cloudtrail}}\n", rule("s: {eventName: x}\ncondition: s"));
    let mut set = compiled(&text, &shipped());
    let in_ecs = r#"{"event":{"action":"x"}}"#;
    assert!(titles(&set, Kind::Json, in_ecs).is_empty());
    let source = |service: Option<&str>| LogSource {
        product: Some("aws".to_owned()),
        service: service.map(str::to_owned),
        category: None,
    };
    set.read_json_as(&source(Some("cloudtrail")));
    assert_eq!(titles(&set, Kind::Json, in_ecs), ["A"]);
    set.read_json_as(&source(None));
    assert!(titles(&set, Kind::Json, in_ecs).is_empty(), "it may be another log of that product");
}

#[test]
fn the_shipped_mappings_are_good_and_every_name_reads_every_other() {
    let given = shipped();
    assert_eq!(given.mappings.kinds.len(), Kind::ALL.len());
    for (&kind, names) in &given.mappings.kinds {
        let with = |name: &String| if name.ends_with('*') { name.replace('*', "Xyz") } else { name.clone() };
        let patterns = names.patterns.iter().map(|(first, others)| {
            std::iter::once(first).chain(others).map(|name| format!("{name}Xyz")).collect::<Vec<_>>()
        });
        let lists = names.lists.iter().map(|list| list.iter().map(with).collect::<Vec<_>>());
        for list in lists.chain(patterns) {
            assert!(list.len() > 1, "{list:?}");
            let ask = |name: &String| {
                let id = format!("title: {name}\nid: {name}\nlevel: low\n");
                format!("{id}detection: {{s: {{{name}: x}}, condition: s}}\n")
            };
            let set = compiled(&list.iter().map(ask).collect::<Vec<_>>().join("---\n"), &given);
            for name in &list {
                let nested = name.rsplit('.').fold("\"x\"".to_owned(), |inner, part| format!("{{\"{part}\":{inner}}}"));
                assert_eq!(titles(&set, kind, &nested), list, "{nested}");
            }
        }
    }
}

#[test]
fn keys_and_values_of_windows_too_are_read_under_all_names() {
    let given = given("kind: json\nfields: {who: [user.name], size: [file.size], day: [event.day]}");
    let base = "title: A\nname: a\nid: a\nlevel: low\ndetection: {s: {x: 1}, condition: s}\n\
                dedup: {group-by: [user.name], period: 1h}\n";
    let count = |id: &str, asks: &str| {
        let head = format!("---\ntitle: {id}\nid: {id}\nlevel: low\n");
        format!("{head}correlation: {{{asks}, rules: [a], generate: true, timespan: 1h}}\n")
    };
    let days = count("days", "type: value_count, group-by: [user.name], condition: {gte: 2, field: day}");
    let size = count("size", "type: value_sum, group-by: [who], condition: {gte: 2, field: file.size}");
    let set = compiled(&format!("{base}{days}{size}"), &given);
    let found = |json: &str| -> Vec<(Vec<Option<String>>, Vec<String>)> {
        let sighting = sight(&set, &event(Kind::Json, json), &mut Scratch::default()).expect("it matches");
        let counts = sighting.findings.into_iter().map(|finding| match finding.count {
            Count::Within { key, values, .. } => (key, values),
            Count::Alone => (Vec::new(), Vec::new()),
        });
        counts.collect()
    };
    let key = |who: &str| vec![Some(who.to_owned())];
    let expected = [(key("ana"), vec![]), (key("ana"), vec!["mon".to_owned()]), (key("ana"), vec!["7".to_owned()])];
    for json in [
        r#"{"x":1,"who":"ana","size":7,"day":"mon"}"#,
        r#"{"x":1,"user":{"name":"ana"},"file":{"size":7},"event":{"day":"mon"}}"#,
        r#"{"x":1,"user.name":"ana","size":{"a":1},"file":[{"size":7}],"day":"mon","event":{"day":"tue"}}"#,
    ] {
        assert_eq!(found(json), expected, "{json}");
    }
    // A key that is null is there, and so is no key of any other name.
    assert_eq!(found(r#"{"x":1,"user":{"name":null},"who":"ana","size":7,"day":"mon"}"#)[..1], [(vec![None], vec![])]);
}

#[test]
fn what_one_name_is_lent_is_not_lent_on() {
    // `q.y` has a line of its own, but `p.y` is asked for under it all the same.
    let given = given("kind: json\nfields: {'p.*': ['q.*', 'r.*'], x: [q.y]}");
    let ask =
        |line: &str| format!("title: '{line}'\nid: '{line}'\nlevel: low\ndetection: {{s: {{{line}}}, condition: s}}\n");
    for lines in [["p.y: 2", "q.y: 1", "x: 1"], ["x: 1", "q.y: 1", "p.y: 2"], ["q.y: 1", "x: 1", "p.y: 2"]] {
        let set = compiled(&lines.map(ask).join("---\n"), &given);
        assert_eq!(titles(&set, Kind::Json, r#"{"x":1,"r":{"y":2}}"#), lines);
        assert_eq!(titles(&set, Kind::Json, r#"{"r":{"y":2},"x":1}"#), lines);
    }
}

#[test]
fn a_glance_knows_a_record_by_the_vendors_own_names_alone() {
    let text = format!("{}logsource: {{product: aws, service: cloudtrail}}\n", rule("s: {eventName: x}\ncondition: s"));
    let (set, mut scratch) = (compiled(&text, &shipped()), Scratch::default());
    let mut glance = |record: &str| {
        let format = Format::Known(Kind::AwsCloudtrail);
        let glance = set.glance(format, record.as_bytes(), &Limits::default(), &mut scratch);
        glance.map(|glance| glance.rules.len())
    };
    assert_eq!(glance(r#"{"eventTime":"2026-11-23T10:00:00Z","eventName":"x"}"#), Some(1));
    // As the way through the parser, which rejects it.
    assert_eq!(glance(r#"{"eventTime":"2026-11-23T10:00:00Z","event":{"action":"x"}}"#), None);
}

#[test]
fn an_explanation_says_under_which_name_the_event_has_it() {
    let file = file("a.yml", &rule("s: {eventName: x, source.ip: y, errorCode: z}\ncondition: s"));
    let document = sonic_rs::from_str(r#"{"eventName":"x","sourceIPAddress":"y"}"#).unwrap();
    let id = crate::rule::RuleId("a".into());
    let why = crate::rule::explain(&file, &id, &shipped(), Kind::AwsCloudtrail, &document).unwrap();
    assert_snapshot!(why, @r#"
    no  s
      no  s
        yes eventName: x    the event has "x"
        yes source.ip: y    the event has "y" in `sourceIPAddress`
        no  errorCode: z    the event has nothing
    "#);
}

#[test]
fn what_is_wrong_in_a_file_is_told_where_and_how_to_mend_it() {
    let known = Kind::ALL.map(Kind::name).join(", ");
    for (text, expected) in [
        (
            "kind: aws.cloudtrial\nfields: {a: [b]}",
            "1:7: `aws.cloudtrial` is no kind of log that can be mapped; known are {known}; did you mean `aws.cloudtrail`?",
        ),
        ("fields: {a: [b]}", "1:1: `kind` is missing; it is one of {known}"),
        ("kind: json", "1:1: `fields` is missing; write under it lines such as `sourceIPAddress: [source.ip]`"),
        (
            "kind: json\nfeilds: {a: [b]}",
            "2:1: `feilds` means nothing in a mapping, which takes `kind` and `fields`; did you mean `fields`?",
        ),
        ("- kind: json", "1:1: a mapping file has the keys `kind` and `fields`"),
        ("kind: json\nfields: [a]", "2:9: `fields` holds lines such as `sourceIPAddress: [source.ip]`"),
        (
            "kind: json\nfields:\n  a: [b\n",
            "4:1: this is no YAML: while parsing a flow sequence, expected ',' or ']'; `[` in line 3 is not closed",
        ),
        ("kind: json\nfields:\n  a: {b: c}", "3:6: `a` takes a list of other names, such as `[source.ip]`"),
        (
            "kind: json\nfields:\n  a: []",
            "3:3: `a` has no other names; write some, or leave the line out: an empty list takes away those that the shipped mapping has for a field",
        ),
        ("kind: json\nfields:\n  a: [5]", "3:7: the name of a field is text; put quotes around it"),
        (
            "kind: json\nfields:\n  a: [' b']",
            "3:7: ` b` is no name of a field: it is empty, or begins or ends with a space",
        ),
        ("kind: json\nfields:\n  a: [b, a]", "3:10: `a` is mapped to itself; only its other names stand here"),
        ("kind: json\nfields:\n  a: [b, b]", "3:10: `b` stands in this list already"),
        (
            "kind: json\nfields:\n  a: [b]\n  c: [d, b]",
            "4:10: `b` is another name of `a` (own1.yml:3) already; it can mean one field only",
        ),
        (
            "kind: json\nfields:\n  a: [b]\n  b: [c]",
            "3:7: `b` has other names of its own in own1.yml:4; write one line with all names of the field, the vendor's in front",
        ),
        ("kind: json\nfields:\n  a: [b]\n  a: [c]", "4:3: key `a` stands here a second time; the first is in line 3"),
        (
            "kind: json\nfields:\n  a.*: [b]",
            "3:9: `b` and `a.*` must both end in `*`, or neither: it stands for the same",
        ),
        (
            "kind: json\nfields:\n  a: ['*.b']",
            "3:7: `*.b`: a `*` stands for any rest of a name, and so only at its end",
        ),
    ] {
        let expected = expected.replace("{known}", &known);
        assert_eq!(faults("", &[text]), format!("Error own1.yml:{expected}\n"), "{text}");
    }
    let many: Vec<String> = (0..65).map(|number| format!("n{number}")).collect();
    let many = format!("kind: json\nfields:\n  a: [{}]", many.join(", "));
    assert_eq!(faults("", &[&many]), "Error own1.yml:3:6: `a` has 65 other names, at most 64 can be\n");
}

#[test]
fn files_of_one_owner_agree_with_each_other() {
    assert_snapshot!(
        faults("", &["kind: json\nfields:\n  a: [b]\n  c: [d]\n  e: [f]", "# two\n---\nkind: json\nfields: {a: [x], g: [d, h, c]}"]),
        @r"
    Error own2.yml:4:10: `a` has a list in own1.yml:3 already; write all its other names there
    Error own2.yml:4:22: `d` is another name of `c` (own1.yml:4) already; it can mean one field only
    Error own2.yml:4:28: `c` has other names of its own in own1.yml:4; write one line with all names of the field, the vendor's in front
    "
    );
    assert_snapshot!(faults("", &["kind: json\nfields:\n  a: [b]\n  b: [a]"]), @r"
    Error own1.yml:3:7: `a` and `b` (own1.yml:4) are mapped to each other; write one line with all names of the field, the vendor's in front
    Error own1.yml:4:7: `b` and `a` (own1.yml:3) are mapped to each other; write one line with all names of the field, the vendor's in front
    ");
}

#[test]
fn the_users_lists_come_before_the_shipped_ones() {
    let shipped = "kind: json\nfields: {a: [a1, a2], b: [b1, b2], c: [c1], d: [d1]}";
    for (own, lists, told) in [
        ("{e: [e1]}", "a a1 a2, b b1 b2, c c1, d d1, e e1", ""),
        ("{a: [a3]}", "b b1 b2, c c1, d d1, a a3", ""),
        ("{a: []}", "b b1 b2, c c1, d d1", ""),
        ("{a: [b1], b: [b2]}", "c c1, d d1, a b1, b b2", ""),
        (
            "{e: [a1]}",
            "a a2, b b1 b2, c c1, d d1, e a1",
            "Warning own1.yml:2:14: `a1` is another name of `a` in the shipped shipped.yml:2, and is taken from there; to \
             say so, write a line of `a` without it\n",
        ),
        (
            "{c1: [x]}",
            "a a1 a2, b b1 b2, d d1, c1 x",
            "Warning own1.yml:2:10: `c1` is another name of `c` in the shipped shipped.yml:2, and is taken from there; if \
             it shall stay one, write its names in a line of `c`\n",
        ),
        (
            "{x: [y, c]}",
            "a a1 a2, b b1 b2, d d1, x y c",
            "Warning own1.yml:2:17: `c` has other names in the shipped shipped.yml:2, which count no longer; those that \
             shall, write here too\n",
        ),
    ] {
        let own = format!("kind: json\nfields: {own}");
        assert_eq!(faults(shipped, &[&own]), told, "{own}");
        let (mappings, _) = Mappings::read(&[file("shipped.yml", shipped)], &[file("own.yml", &own)]);
        let found: Vec<String> = mappings.kinds[&Kind::Json].lists.iter().map(|names| names.join(" ")).collect();
        assert_eq!(found.join(", "), lists, "{own}");
    }
}

#[test]
fn a_list_of_many_objects_costs_no_more_than_its_length() {
    let given = given("kind: json\nfields: {a: [b.c, b.d, b.e]}");
    let set = compiled(&rule("s: {a: x, b.c: x, b.d: x, b.e: x}\ncondition: s"), &given);
    let many = vec![r#"{"c":{},"d":{},"e":{}}"#; 40_000].join(",");
    assert!(titles(&set, Kind::Json, &format!("{{\"b\":[{many}]}}")).is_empty());
}
