//! `lapwing trace` on the sample of docs/lineage.md.

use serde_json::json;

use super::{file, folder, lapwing, lines};

const SAMPLES: &str = "samples/lineage";
const MADE: &str = "AKIAEXAMPLEMADEXXXXX";
const EXAMPLE: [&str; 7] = ["trace", "--ci", "192.0.2.0/24", "--kind", "auto", MADE, SAMPLES];

#[test]
fn trace_prints_what_its_page_shows() {
    let ended = lapwing(&EXAMPLE);
    assert_eq!(ended.status, 0, "{}", ended.said);
    let page = std::fs::read_to_string("docs/lineage.md").unwrap();
    assert!(page.contains(&ended.out), "docs/lineage.md shows another tree than\n{}", ended.out);
}

#[test]
fn trace_gives_the_tree_as_json() {
    let ended = lapwing(&[&EXAMPLE[..], &["--json"]].concat());
    assert_eq!(ended.status, 0, "{}", ended.said);
    let tree = &lines(&ended.out)[0];
    let confidences: Vec<_> = tree["chain"].as_array().unwrap().iter().map(|link| &link["confidence"]).collect();
    assert_eq!(json!(confidences), json!(["exact", "exact", "exact", "unique-candidate"]));
    assert_eq!(tree["chain"][3]["from"][0]["run"]["run"], "910001");
    assert_eq!(tree["credential"]["uses"]["failures"], 1);
}

#[test]
fn all_keys_of_a_console_session_lead_to_the_same_tree() {
    let of = |name: &str| lapwing(&["trace", name, SAMPLES]).out;
    let first = of("ASIAEXAMPLETAB1XXXXX");
    assert!(first.contains("ASIAEXAMPLETAB1XXXXX, ASIAEXAMPLETAB2XXXXX"), "{first}");
    for name in ["ASIAEXAMPLETAB2XXXXX", "AIDAEXAMPLEOLAF", "AIDAEXAMPLEOLAF@2026-11-20T08:01:12Z"] {
        assert_eq!(of(name), first, "{name}");
    }
}

#[test]
fn a_name_that_no_record_tells_of_is_at_fault_and_those_like_it_are_named() {
    let ended = lapwing(&["trace", "AKIAEXAMPLEMADEXXXXY", SAMPLES]);
    assert_eq!((ended.status, ended.out.as_str()), (1, ""), "{}", ended.said);
    assert!(ended.said.contains("no record tells of it") && ended.said.contains(MADE), "{}", ended.said);
    let ended = lapwing(&["trace", "nobody", "--json", SAMPLES]);
    assert_eq!(lines(&ended.out), [json!({ "asked": "nobody", "found": 0, "near": [] })]);
}

#[test]
fn trace_is_at_fault_if_nothing_could_be_read() {
    let folder = folder();
    let bad = file(&folder, "bad.jsonl", "no log\n");
    let ended = lapwing(&["trace", "--kind", "aws.cloudtrail", MADE, &bad]);
    assert_eq!(ended.status, 1);
    assert!(ended.said.contains("is --kind right?"), "{}", ended.said);
    for (arguments, status, said) in [
        (["trace", MADE, "absent.jsonl"], 1, "read absent.jsonl"),
        (["trace", "--ci", "here"], 2, "--ci"),
        (["trace", "--kind", "nothing"], 2, "no log kind"),
    ] {
        let ended = lapwing(&arguments);
        assert_eq!(ended.status, status, "{}", ended.said);
        assert!(ended.said.contains(said), "{}", ended.said);
    }
}
