//! Logs of pipelines as text, end to end: job, step and time are read, and no secret that somebody printed is kept or sent.

mod harness;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use harness::{Chance, Home, Receiver, until};

/// Every line is evidence of an alert, and its text is the alert's key.
const RULE: &str = "title: A line
id: 6f2b8a3c-94d1-4f0e-b7a5-2c1d0e9f8a71
logsource: {product: ci, service: log}
detection: {s: {message|exists: true}, condition: s}
level: high
dedup: {group-by: [message], period: 1h}
";

/// What is planted: lines that print it, and the part that must be found nowhere.
struct Planted {
    lines: Vec<String>,
    needles: Vec<String>,
}

fn letters(chance: &mut Chance, alphabet: &[u8], length: usize) -> String {
    let one = |_| char::from(alphabet[chance.below(alphabet.len() as u64) as usize]);
    (0..length).map(one).collect()
}

/// Made up anew each time, so that no secret, not even an invented one, stands in this file.
fn planted(chance: &mut Chance) -> Planted {
    const MIXED: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const HEX: &[u8] = b"0123456789abcdef";
    let mut planted = Planted { lines: Vec::new(), needles: Vec::new() };
    let mut plant = |length: usize, alphabet: &[u8], line: &dyn Fn(&str) -> String| {
        let secret = letters(chance, alphabet, length);
        planted.lines.push(line(&secret));
        planted.needles.push(secret);
    };
    plant(40, MIXED, &|it| format!("export AWS_SECRET_ACCESS_KEY={it}"));
    plant(200, MIXED, &|it| format!("aws_session_token = {it}"));
    plant(36, MIXED, &|it| format!("fatal: could not read from https://github.com, token ghp_{it}"));
    plant(59, MIXED, &|it| format!("using github_pat_11ABCDEFG0abcdefghijkl_{it}"));
    plant(20, MIXED, &|it| format!("glab: glpat-{it} is not valid"));
    plant(20, MIXED, &|it| format!("registered runner glrt-{it}"));
    plant(24, MIXED, &|it| format!("posting as xoxb-123456789012-1234567890123-{it}"));
    plant(24, MIXED, &|it| format!("curl https://hooks.slack.com/services/T0000/B0000/{it}"));
    plant(43, MIXED, &|it| format!("claims eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZXBvIn0.{it}"));
    plant(90, MIXED, &|it| format!("VAULT: hvs.{it}"));
    plant(36, MIXED, &|it| format!("//registry.npmjs.org/:_authToken=npm_{it}"));
    plant(100, MIXED, &|it| format!("twine upload -u __token__ -p pypi-{it}"));
    plant(18, MIXED, &|it| format!("git clone https://deploy:{it}@git.example.org/x.git"));
    plant(14, MIXED, &|it| format!("connecting with user=ana password={it} host=db"));
    plant(14, MIXED, &|it| format!("Password: {it}"));
    plant(14, MIXED, &|it| format!("docker login registry.example.org --username ci --password {it}"));
    plant(40, MIXED, &|it| format!("> Authorization: Bearer {it}"));
    plant(35, MIXED, &|it| format!("maps key AIza{it}"));
    plant(86, MIXED, &|it| format!("DefaultEndpointsProtocol=https;AccountName=x;AccountKey={it}==;EndpointSuffix=y"));
    plant(40, HEX, &|it| format!("sonar.login=sqp_{it}"));
    plant(64, MIXED, &|it| {
        format!(
            "{{\"type\":\"service_account\",\"private_key\":\"-----BEGIN PRIVATE KEY-----\\n{it}\\n-----END PRIVATE KEY-----\\n\",\"client_email\":\"x@y\"}}"
        )
    });
    // A key over several lines, whose lines say nothing of it.
    let body: Vec<String> = [64, 64, 64, 40].map(|length| letters(chance, MIXED, length)).to_vec();
    planted.lines.push("-----BEGIN RSA PRIVATE KEY-----".to_owned());
    planted.lines.extend(body.iter().cloned());
    planted.lines.push("-----END RSA PRIVATE KEY-----".to_owned());
    planted.needles.extend(body);
    planted
}

/// The same lines as each runner writes them, and how they are pushed.
fn logs(lines: &[String]) -> Vec<(&'static str, String)> {
    let each = |before: &str| lines.iter().map(|line| format!("{before}{line}\n")).collect::<String>();
    let github = format!(
        "2026-11-20T09:14:03.1000000Z Complete job name: build-github\n\
         2026-11-20T09:14:04.0000000Z ##[group]Run make github\n2026-11-20T09:14:04.2000000Z ##[endgroup]\n{}",
        each("2026-11-20T09:14:05.0000000Z ")
    );
    let gitlab = format!(
        "Running with gitlab-runner 18.5.0 (abc)\nsection_start:1795166044:step_gitlab\r\u{1b}[0Kbegin\n{}",
        each("")
    );
    let jenkins = format!(
        "Started by user ana\n[Pipeline] stage\n[Pipeline] {{ (step-jenkins)\n{}",
        each("[2026-11-20T09:14:06.000Z] ")
    );
    let container = "[Container] 2026/11/20 09:14:07.000000 ";
    let mut events = vec![
        json!({"id": "0", "timestamp": 1_795_166_046_000_u64, "message": format!("{container}Entering phase STEP_CODEBUILD\n")}),
    ];
    events.extend(lines.iter().zip(1..).map(|(line, id)| {
        json!({"id": id.to_string(), "timestamp": 1_795_166_047_000_u64, "message": format!("{container}{line}\n")})
    }));
    let codebuild = json!({
        "messageType": "DATA_MESSAGE", "logGroup": "/aws/codebuild/build-codebuild", "logStream": "run", "logEvents": events,
    });
    let wrapped = |job: &str, log: &str| json!({"log": log, "job": job, "run": "7"}).to_string();
    vec![
        ("github", json!({"log": github, "run": "7"}).to_string()),
        ("gitlab", wrapped("build-gitlab", &gitlab)),
        ("jenkins", wrapped("build-jenkins", &jenkins)),
        ("codebuild", codebuild.to_string()),
        // Line by line nothing is known of the lines before, such as that a key began.
        ("bare", github),
    ]
}

/// Every byte below a folder, and what compressed parts of it hold.
fn everything(folder: &Path, out: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            everything(&path, out);
            continue;
        }
        // What is written meanwhile may leave between two looks.
        let Ok(bytes) = fs::read(&path) else { continue };
        let name = path.display().to_string();
        if name.ends_with(".zst") {
            let text = zstd::stream::decode_all(&bytes[..]).expect("the archive is made of whole frames");
            out.push((format!("{name}, unpacked"), text));
        }
        out.push((name, bytes));
    }
}

fn found<'n>(place: &str, bytes: &[u8], needles: &'n [String]) -> Vec<(String, &'n str)> {
    let holds = |needle: &str| bytes.windows(needle.len()).any(|part| part == needle.as_bytes());
    // A part of it would be too much as well.
    let parts = needles.iter().map(|needle| &needle[..needle.len().min(16)]);
    parts.filter(|part| holds(part)).map(|part| (place.to_owned(), part)).collect()
}

#[tokio::test]
async fn no_secret_that_a_job_prints_is_kept_or_sent_and_job_step_and_time_are_read() {
    let planted = planted(&mut Chance::seeded());
    let (home, receiver) = (Home::new(), Receiver::start().await);
    fs::write(home.path("line.yml"), RULE).expect("written");
    home.configure(&format!(
        "rules: [{}]\nshipped_rules: false\nsources: {{jobs: {{kind: ci.log, http: {{}}}}, auto: {{kind: auto, http: {{}}}}, \
         broken: {{kind: github.audit, http: {{}}}}}}\nsinks: {{soc: {}}}",
        home.path("line.yml").display(),
        receiver.sink()
    ));
    let lapwing = home.start().await;
    let all = logs(&planted.lines);
    for (name, log) in &all {
        let source = if *name == "codebuild" { "auto" } else { "jobs" };
        let answer = lapwing.push(source, log.clone()).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
    }
    // Records that cannot be read are kept as well: broken JSON, and what was taken for another kind of log.
    for line in &planted.lines {
        lapwing.push("broken", format!("{{\"action\": \"x\", \"log\": {}", json!(line))).await;
        lapwing.push("broken", line.clone()).await;
    }
    lapwing.everybody_told(&receiver).await;
    let dead = until("dead records", async || {
        let page = lapwing.get("/api/v1/dead-records?limit=500").await;
        page["dead_records"].as_array().is_some_and(|list| list.len() >= planted.lines.len()).then_some(page)
    })
    .await;

    let rows = lapwing.rows().await;
    let mut told: Vec<(String, Vec<u8>)> = vec![("the list of dead records".to_owned(), dead.to_string().into_bytes())];
    let mut events = Vec::new();
    for row in &rows {
        let id = row["id"].as_str().expect("an alert has an id");
        let alert = lapwing.get(&format!("/api/v1/alerts/{id}")).await;
        told.push((format!("alert {id}"), alert.to_string().into_bytes()));
        events.extend(alert["evidence"].as_array().expect("evidence is a list").clone());
    }
    told.extend(receiver.messages().into_iter().map(|(id, body)| (format!("message {id}"), body.into_bytes())));
    read_well(&events, planted.lines.len());
    let complaints = lapwing.complaints().join("\n");
    told.push(("the log".to_owned(), complaints.into_bytes()));
    assert!(lapwing.terminate().await.success());
    everything(&home.path("data"), &mut told);
    let leaks: Vec<_> = told.iter().flat_map(|(place, bytes)| found(place, bytes, &planted.needles)).collect();
    assert!(
        leaks.is_empty(),
        "{} leaks in {} places, such as {:?}",
        leaks.len(),
        told.len(),
        &leaks[..leaks.len().min(9)]
    );
    assert!(told.iter().any(|(place, _)| place.ends_with(", unpacked")), "the archive was looked at");
    assert_eq!(receiver.faults(), Vec::<String>::new());
}

/// Each runner's lines have its job, its step and their own time.
#[track_caller]
fn read_well(events: &[Value], lines: usize) {
    for (runner, step, time) in [
        ("github", "make github", "2026-11-20T09:14:05.000000Z"),
        ("gitlab", "step_gitlab", "2026-11-20T09:14:04.000000Z"),
        ("jenkins", "step-jenkins", "2026-11-20T09:14:06.000000Z"),
        ("codebuild", "STEP_CODEBUILD", "2026-11-20T09:14:07.000000Z"),
    ] {
        // What came line by line says of no run.
        let is_of_run = |event: &&Value| event["event"]["runner"] == runner && event["event"]["run"].is_string();
        let of_runner = events.iter().filter(is_of_run);
        let of_step: Vec<&Value> = of_runner.filter(|event| event["event"]["step"] == step).collect();
        let found = || events.iter().map(|event| format!("{} {}", event["event"]["runner"], event["event"]["step"]));
        assert!(of_step.len() >= lines, "{runner}: {} of {lines}: {:?}", of_step.len(), found().collect::<Vec<_>>());
        let job = format!("build-{runner}");
        assert!(of_step.iter().all(|event| event["event"]["job"] == job.as_str()), "{runner}: {:?}", of_step.first());
        let timed = of_step.iter().filter(|event| event["time"] == time).count();
        assert!(timed >= lines, "{runner}: {timed} of {lines} lines have the time {time}: {:?}", of_step[0]);
    }
}
