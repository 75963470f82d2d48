//! What is refused, and where the author is sent to.

use std::fmt::Write;

use insta::assert_snapshot;

use super::{compile, rule};
use crate::rule::{Body, Measure, Problem, RuleNumber, Severity, Weight};

fn report(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |mut text, problem| {
        let weight = if problem.weight == Weight::Error { "error" } else { "warning" };
        writeln!(text, "{weight} {problem}").unwrap();
        text
    })
}

fn problems(texts: &[(&str, &str)]) -> String {
    report(&compile(texts).1)
}

const BASE: &str = "title: Base\nid: b\nname: base\nlevel: low\nlogsource: {product: aws, service: cloudtrail}\ndetection:\n  s: {eventName: X}\n  condition: s\n";

fn counting(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!("title: Count\nid: c\nlevel: high\ncorrelation:\n{lines}")
}

#[test]
fn broken_documents_say_where_and_leave_their_neighbours() {
    let good = rule("s: {a: x}\ncondition: s");
    let text = format!("title: [unclosed\nid: q\n---\n{good}---\njust words\n");
    let (set, found) = compile(&[("a.yml", &text)]);
    assert_eq!(set.rules().len(), 1);
    assert_snapshot!(report(&found), @r"
    error a.yml:2:3: this is no YAML: illegal placement of ':' indicator; `[` in line 1 is not closed
    error a.yml:11:1: a rule is a mapping with `title`, `logsource` and `detection`
    ");
}

#[test]
fn what_cannot_be_compiled_is_refused_at_its_line() {
    let mut all = String::new();
    for section in [
        "s:\n  b: y\n  a|expand: '%x%'\ncondition: s",
        "s:\n  a|hour: 24\ncondition: s",
        "s:\n  a|frobnicate: x\ncondition: s",
        "s:\n  a|re: '(?=x)'\ncondition: s",
        "s:\n  a|re: '\\w{900}{900}'\ncondition: s",
        "s:\n  a|cidr: 10.0.0.0/40\ncondition: s",
        "s:\n  a|gt: many\ncondition: s",
        "s:\n  a|exists: maybe\ncondition: s",
        "s:\n  a: []\ncondition: s",
        "s:\n  a: {b: x}\ncondition: s",
        "s: {}\ncondition: s",
        "s:\n  a|contains: null\ncondition: s",
        "s: {a: x}\ncondition: s and t",
        "s: {a: x}\ncondition: 1 of t*",
        "sel_a: {a: x}\ncondition: 1 of slel_*",
        "sel_a: {a: x}\ncondition: 1 of sel",
        "s: {a: x}\ncondition: s not s",
        "s: {a: x}\ncondition: 2 of s*",
        "s: {a: x}\ncondition: s and",
        "s: {a: x}\ncondition: s | count() > 5",
        "s: {a: x}",
        "s: {a: x}\nconditon: s",
        "s:\n  a: x\n  condition: s",
        "s:\n  - a: x\n    condition: s",
        "s:\n  1: x\ncondition: s",
    ] {
        let (set, found) = compile(&[("a.yml", &rule(section))]);
        assert_eq!(set.rules().len(), 0, "{section}");
        all += &report(&found);
    }
    let array = rule("s:\n  a[any]: {b: x}\ncondition: s").replace("level", "sigma-version: 3\nlevel");
    all += &problems(&[("a.yml", &array)]);
    assert_snapshot!(all, @r"
    error a.yml:7:15: placeholder `%x%` is not given; give its values under `placeholders:` in the configuration, or in a file with `--placeholders FILE`, as `x: [value, value]`
    error a.yml:6:13: `24` is no part of a date here; it is a whole number from 0 to 23
    error a.yml:6:5: modifier `frobnicate` is not known
    error a.yml:6:11: regular expression cannot be read: look-around, including look-ahead and look-behind, is not supported
    error a.yml:6:11: regular expression needs too much memory; lower its counts `{n,m}`
    error a.yml:6:13: `10.0.0.0/40` is no network such as 10.0.0.0/8
    error a.yml:6:11: `many` is no number to compare with
    error a.yml:6:15: `exists` takes `true` or `false`
    error a.yml:6:5: the list of values is empty
    error a.yml:6:5: `a` holds a nested value; write the field as a path with dots
    error a.yml:5:6: the selection is empty
    error a.yml:6:17: null can only be compared with a whole field
    error a.yml:6:20: the condition names `t`, which is not there
    error a.yml:6:14: `1 of t*` names no detection
    error a.yml:6:14: `1 of slel_*` names no detection; did you mean `sel_*`?
    error a.yml:6:14: `1 of sel` names no detection; did you mean `sel*`?
    error a.yml:6:16: the condition cannot be read: `and` or `or` is missing before `not`
    error a.yml:6:14: `2 of s*` can never be: 1 detections have such names
    error a.yml:6:19: the condition cannot be read: it ends where a name is expected
    error a.yml:6:16: aggregation in a condition is no longer part of Sigma; count in a `correlation` document of its own, see docs/rules.md
    error a.yml:4:1: `condition` is missing
    error a.yml:4:1: `condition` is missing; did you mean `condition` by `conditon`?
    error a.yml:7:5: `condition` stands inside of `s`; indent it as far as `s` itself
    error a.yml:7:7: `condition` stands inside of `s`; indent it as far as `s` itself
    error a.yml:6:5: a field name must be text; put it in quotes
    error a.yml:7:5: `a[any]`: choosing array elements with `[any]` is not part of Sigma 2.1; a path without it means any element
    ");
}

#[test]
fn documents_that_are_no_rules_are_refused_with_a_hint() {
    let mut all = String::new();
    for text in [
        "action: global\ntitle: x\n",
        "title: f\nfilter: {rules: any, selection: {a: x}, condition: selection}\n",
        "id: x\ndetection: {s: {a: x}, condition: s}\n",
        "title: x\nlogsource: {product: aws}\n",
        "title: 5\ndetection: {s: {a: x}, condition: s}\n",
        "title: x\ndetections: {s: {a: x}, condition: s}\n",
        "title: x\ndetection: {s: {a: x}}\ncondition: s\n",
    ] {
        all += &problems(&[("a.yml", text)]);
    }
    assert_snapshot!(all, @r"
    error a.yml:1:1: `action: global` is no longer part of Sigma; write what it shares into each rule, separated by `---`
    error a.yml:1:1: `logsource` is missing; a filter is for rules of one log source
    error a.yml:1:1: `title` is missing
    error a.yml:1:1: `detection` is missing
    error a.yml:1:8: `title` must be text; put it in quotes
    error a.yml:2:1: `detection` is missing; did you mean `detection` by `detections`?
    error a.yml:3:1: `condition` stands beside `detection`; indent it as far as the selections below `detection`
    ");
}

#[test]
fn own_keys_are_read_and_their_mistakes_refused() {
    let good = rule("s: {a: x}\ncondition: s");
    let keys = "version: 3\nrunbook: |\n  Look.\ndedup: {group-by: [a, b.c], period: 1h}\ntests:\n  match: [{a: x}]\n  ignore: [{a: 1.5}, {}]\n";
    let (set, found) = compile(&[("a.yml", &format!("{good}{keys}"))]);
    assert_eq!(found, []);
    let rule = set.rule(RuleNumber(0));
    let dedup = rule.dedup.as_ref().unwrap();
    let names: Vec<&str> = dedup.group_by.iter().map(|&field| set.fields().path(field).name()).collect();
    assert_eq!(
        (rule.version, &*rule.runbook, names, dedup.period.to_string()),
        (3, "Look.", vec!["a", "b.c"], "1 h".to_owned())
    );
    assert_eq!((rule.tests.fires.len(), rule.tests.ignores.len()), (1, 2));

    let mut all = String::new();
    for keys in [
        "version: two\n",
        "runbook: [a]\n",
        "dedup: {group-by: [a], period: soon}\n",
        "dedup: {by: [a], period: 1h}\n",
        "tests: {match: [[{a: x}]]}\n",
        "tests: {fires: []}\n",
        "tests: {addresses: {here: {source.tor: true}}}\n",
        "tests: {addresses: {192.0.2.0/24: {source.torr: true}}}\n",
    ] {
        all += &problems(&[("a.yml", &format!("{good}{keys}"))]);
    }
    assert_snapshot!(all, @r#"
    error a.yml:7:10: `version` must be a whole number
    error a.yml:7:10: `runbook` must be text
    error a.yml:7:32: "soon" is not a length of time such as 30s, 10m, 1h or 7d
    error a.yml:7:9: `by` means nothing in `dedup`, which takes `group-by` and `period`
    error a.yml:7:17: each test of a detection is one event, a mapping
    error a.yml:7:9: `fires` means nothing in `tests`, which takes `addresses` and `match` and `ignore`
    error a.yml:7:21: `addresses` is a mapping of networks such as `192.0.2.0/24`, each with fields such as `source.as.number: 64500`
    error a.yml:7:36: `source.torr` is none of source.geo.city_name, source.geo.country_iso_code, source.geo.location.lat, source.geo.location.lon, source.as.number, source.as.organization.name, source.cloud.provider, source.cloud.region, source.cloud.service.name, source.ci.provider, source.tor, source.vpn; did you mean `source.tor`?
    "#);
}

#[test]
fn missing_id_and_level_are_made_up_with_a_warning() {
    let text = "title: A\ndetection: {s: {a: x}, condition: s}\n";
    let (set, found) = compile(&[("a.yml", text), ("b.yml", &format!("{text}level: High\n"))]);
    assert_eq!(set.rule(RuleNumber(0)).severity, Severity::Medium);
    assert_eq!(set.rule(RuleNumber(1)).severity, Severity::High, "in any letter case");
    assert_eq!(set.rule(RuleNumber(0)).id.0.len(), 32);
    assert_ne!(set.rule(RuleNumber(0)).id, set.rule(RuleNumber(1)).id);
    assert_snapshot!(report(&found), @r"
    warning a.yml:1:1: `level` is missing; medium is taken
    warning a.yml:1:1: `id` is missing; alerts are known by path and title until it has one
    warning b.yml:1:1: `id` is missing; alerts are known by path and title until it has one
    ");
    let found = problems(&[("c.yml", &format!("id: c\n{text}level: hihg\n"))]);
    assert_snapshot!(found, @"error c.yml:4:8: `hihg` is no level; levels are informational, low, medium, high, critical; did you mean `high`?");
}

#[test]
fn the_later_rule_of_two_with_one_id_is_refused_whatever_the_order_of_files() {
    let (first, second) = (rule("s: {a: x}\ncondition: s"), rule("s: {a: y}\ncondition: s"));
    for files in [[("a.yml", &*first), ("b.yml", &second)], [("b.yml", &*second), ("a.yml", &first)]] {
        let (set, found) = compile(&files);
        assert_eq!(set.rules().len(), 1);
        assert_eq!(set.rule(RuleNumber(0)).path, "a.yml");
        let expected = "error b.yml:2:5: id a belongs to the rule in a.yml already; give this one its own\n";
        assert_eq!(report(&found), expected);
    }
}

#[test]
fn a_uuid_means_the_same_in_capitals() {
    let id = "4c3a0b0e-6c1b-4a1e-9e57-6f2f0f3d2f10";
    let base = BASE.replace("id: b", &format!("id: {id}"));
    let capitals = base.replace(id, &id.to_uppercase());
    let (set, found) = compile(&[("a.yml", &base), ("b.yml", &capitals)]);
    assert_eq!((set.rules().len(), found.len()), (1, 1));
    assert!(found[0].message.contains("belongs to the rule in a.yml already"), "{}", found[0]);
    let count =
        counting(&format!("type: event_count\nrules: [{}]\ntimespan: 1h\ncondition: {{gte: 2}}", id.to_uppercase()));
    assert_eq!(compile(&[("a.yml", &base), ("c.yml", &count)]).1, []);
    let other = BASE.replace("id: b", "id: B");
    assert_eq!(compile(&[("a.yml", BASE), ("b.yml", &other)]).1.len(), 0, "an id that is none is what it says");
}

#[test]
fn a_correlation_counts_rules_of_any_file_and_silences_them() {
    let count =
        counting("type: value_count\nrules: [base]\ngroup-by: [u]\ntimespan: 10m\ncondition: {gt: 5, field: f.g}");
    let (set, found) = compile(&[("a.yml", &count), ("z.yml", BASE)]);
    assert_eq!(found, []);
    let (count, base) = (set.rule(RuleNumber(0)), set.rule(RuleNumber(1)));
    assert!(count.alerts && !base.alerts);
    assert_eq!(count.log_source, base.log_source);
    assert_eq!(set.correlations_of(RuleNumber(1)), [RuleNumber(0)]);
    assert_eq!(set.correlations_of(RuleNumber(0)), []);
    let Body::Correlation(body) = &count.body else { panic!("a correlation") };
    let name = |field| set.fields().path(field).name();
    assert_eq!((body.bases.as_slice(), body.threshold.least_whole()), (&[RuleNumber(1)][..], Some(6)));
    assert_eq!((name(body.group_by[0].fields[0]), body.window.to_string()), ("u", "10 min".to_owned()));
    assert!(matches!(&body.measure, Measure::Values(field) if name(field.fields[0]) == "f.g"));
}

#[test]
fn a_base_alerts_too_if_its_correlation_says_so() {
    let text = counting("type: event_count\nrules: [b]\ntimespan: 1h\ncondition: {gte: 2}") + "generate: true\n";
    let (set, found) = compile(&[("a.yml", BASE), ("b.yml", &text)]);
    assert_eq!(found, []);
    assert!(set.rules().iter().all(|rule| rule.alerts));
}

#[test]
fn correlations_that_cannot_be_counted_are_refused_and_their_bases_stay_silent() {
    let mut all = String::new();
    for lines in [
        "type: temporal\nrules: [base]\ntimespan: 1h\ncondition: base and other",
        "type: temporal_ordered\nrules: [base]\ntimespan: 1h\ncondition: base",
        "type: temporal\nrules: [base]\ntimespan: 1h\ncondition: {gte: 2}",
        "type: value_avg\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5}",
        "type: value_percentile\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5, field: x, percentile: 101}",
        "type: frequency\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5}",
        "type: event_count\nrules: [base]\ntimespan: 1M\ncondition: {gte: 5}",
        "type: event_count\nrules: [base]\ncondition: {gte: 5}",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {lt: 500000}",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: 1.5}",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: -5}",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5, field: x}",
        "type: value_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5}",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5}\nwindow: tumbling",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5}\naliases: {u: {other: v}}",
        "type: event_count\nrules: [gone]\ntimespan: 1h\ncondition: {gte: 5}",
        "type: event_count\nrules: [bsae]\ntimespan: 1h\ncondition: {gte: 5}",
        "type: event_cuont\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5}",
        "type: event_count\nrules: []\ntimespan: 1h\ncondition: {gte: 5}",
        "type: event_count\nrules: [c]\ntimespan: 1h\ncondition: {gte: 5}",
    ] {
        let (set, found) = compile(&[("a.yml", &counting(lines)), ("z.yml", BASE)]);
        assert_eq!(set.rules().len(), 1, "{lines}");
        assert_eq!(set.rule(RuleNumber(0)).alerts, !lines.contains("[base]"), "{lines}");
        all += &report(&found);
    }
    assert_snapshot!(all, @r#"
    error a.yml:8:3: `other` is not among the `rules` of the correlation
    error a.yml:8:3: temporal_ordered takes no condition over rule names; temporal does
    error a.yml:8:3: the count must be from 1 to 1, the number of its rules
    error a.yml:8:3: value_avg needs one `field` whose values it counts
    error a.yml:8:3: `percentile` is a whole number from 0 to 100
    error a.yml:5:9: unknown correlation type: frequency; it is one of event_count, value_count, value_sum, value_avg, value_percentile, value_median, temporal, temporal_ordered
    error a.yml:7:3: "1M" is not a length of time such as 30s, 10m, 1h or 7d
    error a.yml:4:1: `timespan` is missing; write it as `10m`
    error a.yml:8:3: the count must be from 1 to 100000, the most events that a window holds of one key
    error a.yml:8:3: a count is a whole number, which 1.5 is not; write `gte: 2`
    error a.yml:8:3: the count must be from 1 to 100000, the most events that a window holds of one key
    error a.yml:8:3: event_count takes no `field`; value_count counts values
    error a.yml:8:3: value_count needs one `field` whose values it counts
    error a.yml:9:3: tumbling windows are not supported; leave `window` out
    error a.yml:9:13: alias `u` speaks of `other`, which is not counted
    error a.yml:6:11: no rule has the name or id `gone`
    error a.yml:6:11: no rule has the name or id `bsae`; did you mean `base`?
    error a.yml:5:9: unknown correlation type: event_cuont; it is one of event_count, value_count, value_sum, value_avg, value_percentile, value_median, temporal, temporal_ordered; did you mean `event_count`?
    error a.yml:6:3: it names no rule to count
    error a.yml:6:3: it counts itself, or rules that count it
    "#);
}

#[test]
fn correlations_that_mean_nothing_are_refused_with_a_sentence() {
    let mut all = String::new();
    for lines in [
        "type: temporal\nrules: [base, b]\ntimespan: 1h",
        "type: temporal_ordered\nrules: [base, two, base]\ntimespan: 1h",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {lt: 1}",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5, lt: 3}",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {eq: 0}",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gt: 3, lt: 4}",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gt: 1.5}",
        "type: value_sum\nrules: [base]\ntimespan: 1h\ncondition: {field: x, gt: 4, lt: 3}",
        "type: value_sum\nrules: [base]\ntimespan: 1h\ncondition: {field: x, gte: 1.0e-10}",
        "type: value_sum\nrules: [base]\ntimespan: 1h\ncondition: {field: x, gte: 1.0e300}",
        "type: temporal\nrules: [base, two]\ntimespan: 1h\ncondition: not base and not two",
        "type: temporal\nrules: [base, two]\ntimespan: 1h\ncondition: base and not base",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5, field: [x, y]}",
        "type: value_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5, field: x, percentile: 5}",
        "type: event_count\nrules: [base]\ntimespan: 1h\ntimeframe: 2h\ncondition: {gte: 5}",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5}\ngroup-by: ['']",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5}\ngroup-by: ['u|contains']",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5}\ngroup-by: ['u[any]']",
        "type: event_count\nrules: [base]\ntimespan: 1h\ncondition: {gte: 5}\ngroup-by: [u]\naliases: {u: {base: 'v|re'}}",
    ] {
        let two = BASE.replace("id: b", "id: two").replace("Base", "Two").replace("name: base\n", "");
        let (set, found) = compile(&[("a.yml", &counting(lines)), ("z.yml", &format!("{BASE}---\n{two}"))]);
        assert_eq!(set.rules().len(), 2, "{lines}");
        all += &report(&found);
    }
    for section in ["s:\n  a|fieldref: 'b|contains'\ncondition: s", "s:\n  a|hour: 5.5\ncondition: s"] {
        all += &problems(&[("a.yml", &rule(section))]);
    }
    all += &problems(&[("a.yml", &(rule("s: {a: x}\ncondition: s") + "dedup: {group-by: ['a|re'], period: 1h}\n"))]);
    assert_snapshot!(all, @r"
    error a.yml:6:17: rule `b` is named twice; for several of its events count them with event_count
    error a.yml:6:22: rule `base` is named twice; for several of its events count them with event_count
    error a.yml:8:3: the condition can never hold: no count is `lt: 1`
    error a.yml:8:3: the condition can never hold: no count is `gte: 5` and `lt: 3`
    error a.yml:8:3: the condition can never hold: no count is `eq: 0`
    error a.yml:8:3: the condition can never hold: no count is `gt: 3` and `lt: 4`
    error a.yml:8:3: a count is a whole number, which 1.5 is not; write `gte: 2`
    error a.yml:8:3: the condition can never hold: no number is `gt: 4` and `lt: 3`
    error a.yml:8:3: `0.0000000001` has more than nine decimals, which is what is compared
    error a.yml:8:3: a condition takes numbers up to 10^28
    error a.yml:8:3: the condition can never hold of rules one of which at least has matched
    error a.yml:8:3: the condition can never hold of rules one of which at least has matched
    error a.yml:8:3: event_count takes no `field`; value_count counts values
    error a.yml:8:3: value_count takes no `percentile`; value_percentile does
    error a.yml:8:3: `timeframe` is what `timespan` was called before; leave it out
    error a.yml:9:3: the name of a field is empty
    error a.yml:9:3: modifiers mean nothing here; write `u` instead of `u|contains`
    error a.yml:9:3: `u[any]`: choosing array elements with `[any]` is not part of Sigma 2.1; a path without it means any element
    error a.yml:9:3: modifiers mean nothing here; write `v` instead of `v|re`
    error a.yml:6:17: modifiers mean nothing here; write `b` instead of `b|contains`
    error a.yml:6:13: `5.5` is no part of a date here; it is a whole number from 0 to 23
    error a.yml:7:20: modifiers mean nothing here; write `a` instead of `a|re`
    ");
}

#[test]
fn correlations_that_can_hold_are_loaded() {
    for lines in [
        "type: event_count\nrules: [base, b]\ntimespan: 1h\ncondition: {gte: 1}",
        "type: value_count\nrules: [base]\ntimespan: 1h\ncondition: {field: x, lt: 1}",
        "type: value_avg\nrules: [base]\ntimespan: 1h\ncondition: {field: x, gt: 3, lt: 4}",
        "type: value_sum\nrules: [base]\ntimespan: 1h\ncondition: {field: x, gte: 0.123456789}",
        "type: value_sum\nrules: [base]\ntimespan: 1h\ncondition: {field: x, gte: 1000000000.1}",
        "type: temporal\nrules: [base]\ntimespan: 1h\ncondition: base or not base",
    ] {
        assert_eq!(problems(&[("a.yml", &counting(lines)), ("z.yml", BASE)]), "", "{lines}");
    }
}

#[test]
fn places_are_those_of_the_file() {
    let good = rule("s: {a: x}\ncondition: s");
    let conditions = [
        "condition: |\n  s\n  or t",
        "condition: >-\n  s or\n  t",
        "condition: s\n  or t",
        "condition: 's\n  or t'",
        "condition: \"s\n\n  or t\"",
        "condition: s or\n  s or",
        "condition: |\n  s or\n  (s",
    ];
    let conditions = conditions.map(|condition| rule(&format!("s: {{a: x}}\n{condition}")).replace("id: a", "id: b"));
    let broken = ["title: B\nid: [x\n", "title: B\ntitle: C\n", "title: B\ndetection: {}\nfilter: {}\n"];
    let mut all = String::new();
    for other in broken.into_iter().map(str::to_owned).chain(conditions) {
        all += &problems(&[("a.yml", &format!("{good}---\n{other}"))]);
    }
    assert_snapshot!(all, @r"
    error a.yml:10:1: this is no YAML: while parsing a flow sequence, expected ',' or ']'; `[` in line 9 is not closed
    error a.yml:9:1: key `title` stands here a second time; the first is in line 8
    error a.yml:10:1: a document has one of `detection`, `correlation` and `filter`; `detection` stands in line 9 already
    error a.yml:15:8: the condition names `t`, which is not there
    error a.yml:15:5: the condition names `t`, which is not there
    error a.yml:14:8: the condition names `t`, which is not there
    error a.yml:14:8: the condition names `t`, which is not there
    error a.yml:15:8: the condition names `t`, which is not there
    error a.yml:14:9: the condition cannot be read: it ends where a name is expected
    error a.yml:15:7: the condition cannot be read: `)` is missing
    ");
}

#[test]
fn a_rule_may_begin_in_the_line_of_its_mark() {
    let rule =
        |id: &str| format!("--- {{title: {id}, id: {id}, level: low, detection: {{s: {{a: x}}, condition: s}}}}\n");
    let (set, found) = compile(&[("a.yml", &format!("# head\n{}{}--- # nothing\n...\n", rule("a"), rule("b")))]);
    assert_eq!(found, []);
    assert_eq!(set.rules().len(), 2);
}

#[test]
fn rules_that_would_take_too_much_are_refused() {
    let lines = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let selection = format!("s:\n  a|all:\n{}", lines(2_000, &|number| format!("    - v{number}\n")));
    let named = format!("{selection}condition: s{}", " or not s".repeat(800));
    let counted = format!("{}condition: 700 of s*", lines(1_400, &|number| format!("s{number}: {{a: {number}}}\n")));
    let text = "x".repeat(1 << 20);
    let aliases = format!("title: A\nx: &a '{text}'\ny: [{}]\n", "*a, ".repeat(100));
    let mut all = String::new();
    for text in [rule(&named), rule(&counted), aliases] {
        all += &problems(&[("a.yml", &text)]);
    }
    assert_snapshot!(all, @r"
    error a.yml:2007:464: the rule is too long: with the lines and values of each selection as often as the condition names it, it has more than 200000
    error a.yml:1405:14: the rule is too long: with the lines and values of each selection as often as the condition names it, it has more than 200000
    error a.yml:3:57: the texts of the document have more than 16777216 bytes
    ");
}

#[test]
fn many_filters_of_one_rule_and_long_chains_of_correlations_are_loaded() {
    let rule = rule("s: {a: x}\ncondition: s").replace("detection", "logsource: {product: p}\ndetection");
    let filter = |number: usize| {
        format!(
            "---\ntitle: F{number}\nlogsource: {{product: p}}\nfilter: {{rules: any, s: {{b: {number}}}, condition: not s}}\n"
        )
    };
    let text = rule.clone() + &(0..6_000).map(filter).collect::<String>();
    let (set, found) = compile(&[("a.yml", &text)]);
    assert_eq!((found.len(), set.rules()[0].filters.len()), (0, 6_000));

    let chain = |number: usize| {
        let bases = if number == 0 { "a".to_owned() } else { format!("c{}", number - 1) };
        format!(
            "---\ntitle: C{number}\nid: c{number}\nlevel: low\ncorrelation: {{type: temporal, rules: [{bases}], timespan: 1h}}\n"
        )
    };
    let text = rule + &(0..3_000).map(chain).collect::<String>();
    let (set, found) = compile(&[("a.yml", &text)]);
    assert_eq!(found, []);
    assert!(set.rules().iter().all(|rule| rule.log_source.product.as_deref() == Some("p")));
}

#[test]
fn what_is_nested_without_end_is_refused() {
    let deep = 4_000;
    for (text, reason) in [
        (
            rule(&format!("s: {{a: x}}\ncondition: {}s{}", "(".repeat(deep), ")".repeat(deep))),
            "brackets of a condition",
        ),
        (rule(&format!("s: {{a: x}}\ncondition: {}s", "not ".repeat(deep))), "negations"),
        (rule(&format!("s: {}x{}\ncondition: s", "[".repeat(deep), "]".repeat(deep))), "lists"),
        (rule(&format!("s:\n  a|re: '{}x{}'\ncondition: s", "(".repeat(deep), ")".repeat(deep))), "groups"),
        (format!("{}1", "{a: ".repeat(deep)), "mappings"),
    ] {
        let (set, found) = compile(&[("a.yml", &text)]);
        assert_eq!((set.rules().len(), found.len()), (0, 1), "{reason}");
    }
    let (set, _) = compile(&[("a.yml", &rule(&format!("s: {{a: x}}\ncondition: {}s", "not ".repeat(2_000))))]);
    assert_eq!(set.rules().len(), 1);
}

#[test]
fn examples_of_a_later_document_stand_in_the_lines_of_the_file() {
    let rule = |id: &str| {
        format!(
            "title: {id}\nid: {id}\nlevel: low\ndetection: {{s: {{a: 1}}, condition: s}}\ntests:\n  match:\n    - {{a: 1}}\n"
        )
    };
    let text = format!("{}---\n{}", rule("a"), rule("b"));
    let (set, _) = compile(&[("a.yml", &text)]);
    assert_eq!(set.rules().iter().map(|rule| rule.tests.lines.clone()).collect::<Vec<_>>(), [vec![7], vec![15]]);
}
