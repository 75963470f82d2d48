//! The commands that read files once, as a script sees them.

mod harness;

use std::process::{Command, Output};

use harness::{Home, Lapwing};

const GOOD: &str = "title: Logging stopped\nid: 5a1f0a52-27c1-4d0e-9a0c-1d7a8f1c2b01\nlevel: high\n\
    logsource: {product: aws, service: cloudtrail}\ndetection: {selection: {eventName: StopLogging}, condition: selection}\n";
const BROKEN: &str = "title: Broken\nid: 5a1f0a52-27c1-4d0e-9a0c-1d7a8f1c2b02\nlevel: high\n\
    logsource: {product: aws, service: cloudtrail}\ndetection: {selection: {eventName: X}, condition: nothing}\n";
const RECORD: &str =
    r#"{"eventVersion":"1.08","eventID":"e-1","eventTime":"2026-11-20T09:00:00Z","eventName":"StopLogging"}"#;

fn run(command: &str, home: &Home) -> Output {
    let mut lapwing = Command::new(Lapwing::binary());
    lapwing.args([command, "--kind", "aws.cloudtrail", "--rules"]).arg(home.path("rules"));
    lapwing.arg(home.path("trail.jsonl")).output().expect("the binary starts")
}

#[test]
fn a_rule_that_was_left_out_is_exit_status_1_after_the_work_is_done() {
    let home = Home::new();
    std::fs::create_dir(home.path("rules")).expect("a folder can be made");
    std::fs::write(home.path("rules/good.yml"), GOOD).expect("a rule can be written");
    std::fs::write(home.path("trail.jsonl"), RECORD).expect("a record can be written");
    for command in ["match", "replay"] {
        let output = run(command, &home);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::write(home.path("rules/broken.yml"), BROKEN).expect("a rule can be written");
    for command in ["match", "replay"] {
        let output = run(command, &home);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("left out: ") && said.contains("broken.yml"), "{command}: {said}");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("5a1f0a52-27c1-4d0e-9a0c-1d7a8f1c2b01"), "{command} goes on without it: {printed}");
    }
}
