//! Records by the roads that their systems push them on, from the sender to the alert.

mod harness;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use harness::{Heard, Home, Lapwing, loudly, stopped, until};
use reqwest::Client;
use serde_json::{Value, json};

/// A rule for a log source: any event that has this field.
fn rule(home: &Home, product: &str, service: &str, field: &str) {
    let folder = home.path("rules");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let text = format!(
        "title: Any event of {product}\nid: 00000000-0000-4000-8000-{:012}\nstatus: test\nlevel: low\n\
         logsource: {{product: {product}, service: {service}}}\ndetection:\n  any: {{{field}|exists: true}}\n  condition: any\n",
        product.len()
    );
    std::fs::write(folder.join(format!("{product}.yml")), text).expect("a rule can be written");
}

/// The lines of a file of `samples/`.
fn samples(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(format!("samples/{file}")).expect("samples are there");
    text.lines().map(str::to_owned).collect()
}

/// How many events of this source were counted, apart from those that came before.
async fn counted(lapwing: &Lapwing, source: &str) -> f64 {
    lapwing.metric(&format!("lapwing_events_total{{source=\"{source}\"}}")).await
}

async fn has_counted(lapwing: &Lapwing, source: &str, events: usize) {
    until(&format!("{events} events of {source}"), async || {
        (counted(lapwing, source).await >= events as f64).then_some(())
    })
    .await;
}

/// The port on which a source of syslog listens.
async fn port(lapwing: &Lapwing, transport: &str) -> u16 {
    until(&format!("{transport} to be listened on"), async || {
        let line = lapwing.line(&format!("transport=\"{transport}\""))?;
        line.split_once("address=")?.1.split_whitespace().next()?.rsplit(':').next()?.parse().ok()
    })
    .await
}

#[tokio::test]
async fn what_vault_writes_to_a_file_a_socket_and_syslog_is_counted_once() {
    let home = Home::new();
    rule(&home, "vault", "audit", "request.id");
    let (file, socket, log) = (home.path("audit.log"), home.path("audit.sock"), home.path("log.sock"));
    // The samples hold odd ones too.
    let is_whole = |line: &String| line.contains("\"request\":{\"id\"") && !line.contains("no time");
    let lines: Vec<String> = samples("vault.audit.jsonl").into_iter().filter(is_whole).collect();
    assert!(lines.len() >= 4, "{lines:?}");
    std::fs::write(&file, lines.join("\n") + "\n").expect("it can be written");
    home.configure(&format!(
        "shipped_rules: false\nrules: [{}]\nsources:\n  file: {{kind: vault.audit, file: {{path: [{}]}}}}\n  \
         socket: {{kind: vault.audit, syslog: {{unix: {}}}}}\n  log: {{kind: vault.audit, syslog: {{unix_datagram: {}}}}}",
        home.path("rules").display(),
        file.display(),
        socket.display(),
        log.display()
    ));
    let lapwing = home.start().await;
    has_counted(&lapwing, "file", lines.len()).await;
    let alerts = lapwing.rows().await.len();
    assert!(alerts > 0);

    // Its socket device writes a line each; its syslog device speaks as programs of this machine do, without a host.
    until("the sockets", async || (socket.exists() && log.exists()).then_some(())).await;
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).expect("somebody listens");
    stream.write_all((lines.join("\n") + "\n").as_bytes()).expect("it takes them");
    let datagrams = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    for line in &lines {
        let message = format!("<38>Nov 20 09:14:03 vault[7]: @cee: {line}");
        datagrams.send_to(message.as_bytes(), &log).expect("it takes them");
    }
    has_counted(&lapwing, "socket", lines.len()).await;
    has_counted(&lapwing, "log", lines.len()).await;
    let repeats = async || {
        let of = async |source: &str| {
            lapwing.metric(&format!("lapwing_events_duplicate_total{{source=\"{source}\"}}")).await
        };
        (of("socket").await >= lines.len() as f64 && of("log").await >= lines.len() as f64).then_some(())
    };
    until("each to be known already", repeats).await;
    assert_eq!(lapwing.rows().await.len(), alerts, "no event raised a second alert");
    assert_eq!(lapwing.complaints(), Vec::<String>::new());
    assert!(lapwing.terminate().await.success());
    assert!(!socket.exists() && !log.exists(), "they went with the service");
}

#[tokio::test]
async fn an_api_server_posts_lists_of_audit_events_longer_than_any_record() {
    let home = Home::new();
    rule(&home, "kubernetes", "audit", "auditID");
    home.configure(&format!(
        "shipped_rules: false\nrules: [{}]\nsources: {{cluster: {{kind: kubernetes.audit, http: {{token: sesame}}}}}}",
        home.path("rules").display()
    ));
    let lapwing = home.start().await;
    let list: Value = serde_json::from_str(&samples("kubernetes.audit.jsonl")[0]).expect("a sample is JSON");
    let item = |number: usize| {
        let mut item = list["items"][0].clone();
        item["auditID"] = json!(format!("id-{number}"));
        item["annotations"]["padding"] = json!("x".repeat(2_000));
        item
    };
    let items: Vec<Value> = (0..1_000).map(item).collect();
    let body =
        json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": items}).to_string();
    assert!(body.len() > 2 << 20);
    let url = lapwing.url("/v1/events/cluster?timeout=30s");
    let answer = Heard::of(Client::new().post(url).bearer_auth("sesame").body(body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(counted(&lapwing, "cluster").await, 1_000.0, "durable before the answer");
    lapwing.has_alerts(1).await;
}

#[tokio::test]
async fn okta_verifies_its_hook_and_event_hubs_post_batches() {
    let home = Home::new();
    rule(&home, "okta", "okta", "uuid");
    rule(&home, "azure", "activitylogs", "time");
    home.configure(&format!(
        "shipped_rules: false\nrules: [{}]\nsources:\n  hook: {{kind: okta.system, okta: {{secret: sesame}}}}\n  \
         azure: {{kind: azure.activity, http: {{token: sesame}}}}",
        home.path("rules").display()
    ));
    let lapwing = home.start().await;
    let url = lapwing.url("/v1/events/hook");
    let asked = Heard::of(Client::new().get(&url).header("X-Okta-Verification-Challenge", "c-1")).await;
    assert_eq!((asked.status, asked.json()), (200, json!({"verification": "c-1"})));
    let hook =
        samples("okta.system.jsonl").into_iter().find(|line| line.contains("\"data\":{\"events\"")).expect("a hook");
    for _ in 0..2 {
        let answer = Heard::of(Client::new().post(&url).header("authorization", "sesame").body(hook.clone())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    lapwing.has_alerts(1).await;
    let alerts = lapwing.rows().await.len();

    let batch = samples("azure.jsonl").into_iter().find(|line| line.starts_with("{\"records\"")).expect("a batch");
    let url = lapwing.url("/v1/events/azure");
    let answer = Heard::of(Client::new().post(url).bearer_auth("sesame").body(batch)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    lapwing.has_alerts(alerts + 1).await;
}

#[tokio::test]
async fn what_was_received_by_syslog_is_committed_before_a_stop() {
    let home = Home::new();
    home.configure("sources: {log: {kind: auto, syslog: {tcp: '127.0.0.1:0'}}}");
    let lapwing = home.start().await;
    let events = 1_000;
    let mut sender = std::net::TcpStream::connect(("127.0.0.1", port(&lapwing, "tcp").await)).expect("it listens");
    for number in 0..events {
        let record = stopped(&format!("stop-{number}"), "ana").replace('\n', "");
        let header = "<13>1 2026-11-20T09:14:03Z web-1 relay - - - ";
        let length = header.len() + record.len();
        sender.write_all(format!("{length} {header}{record}").as_bytes()).expect("it takes them");
    }
    assert!(lapwing.terminate().await.success());
    let lapwing = home.start().await;
    assert_eq!(lapwing.rows().await.len(), events, "each raised its alert before the end");
}

/// A certificate and its key by an authority of its own, in this home.
fn certificates(home: &Home) -> [PathBuf; 4] {
    let openssl = |arguments: &[&str]| {
        let folder = home.path("");
        let made = Command::new("openssl").args(arguments).current_dir(folder).stderr(Stdio::null()).status();
        assert!(made.expect("openssl is there").success(), "openssl {arguments:?}");
    };
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=authority",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    ]);
    openssl(&[
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        "key.pem",
        "-out",
        "request.pem",
    ]);
    openssl(&[
        "x509",
        "-req",
        "-in",
        "request.pem",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-copy_extensions",
        "copy",
        "-days",
        "2",
        "-out",
        "certificate.pem",
    ]);
    ["ca.pem", "certificate.pem", "key.pem", ""].map(|name| home.path(name))
}

/// A relay that runs until it is dropped.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// syslog-ng, which reads a file line by line and sends each on by TLS; nothing if it is not installed.
fn syslog_ng(home: &Home, port: u16) -> Option<Relay> {
    let program = ["/usr/sbin/syslog-ng", "syslog-ng"].into_iter().find(|program| {
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    });
    let Some(program) = program else {
        assert!(std::env::var_os("CI").is_none(), "CI may skip nothing: syslog-ng is missing");
        loudly("SKIPPED: syslog-ng is not installed (apt-get install --no-install-recommends syslog-ng-core)");
        return None;
    };
    let folder = home.path("");
    let text = format!(
        "@version: 3.38\noptions {{ stats-freq(0); }};\n\
         source s {{ file(\"{0}in.log\" follow-freq(0.1) flags(no-parse) log-fetch-limit(1000)); }};\n\
         destination d {{ syslog(\"127.0.0.1\" port({port}) transport(\"tls\") time-reopen(1) log-fifo-size(10000)\n\
           tls(ca-file(\"{0}ca.pem\") cert-file(\"{0}certificate.pem\") key-file(\"{0}key.pem\") peer-verify(required-trusted))); }};\n\
         log {{ source(s); destination(d); flags(flow-control); }};\n",
        folder.display()
    );
    std::fs::write(home.path("ng.conf"), text).expect("it can be written");
    let path = |name: &str| home.path(name).display().to_string();
    let child = Command::new(program)
        .args(["-F", "--no-caps", "-f", &path("ng.conf"), "-R", &path("ng.persist")])
        .args(["-p", &path("ng.pid"), "-c", &path("ng.ctl")])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(home.path("ng.log")).expect("a log can be written"))
        .spawn();
    Some(Relay(child.expect("syslog-ng starts")))
}

#[tokio::test]
async fn syslog_ng_sends_by_tls_and_every_record_counts_once() {
    let home = Home::new();
    let [authority, certificate, key, _] = certificates(&home);
    home.configure(&format!(
        "sources:\n  relay:\n    kind: auto\n    syslog:\n      tcp: 127.0.0.1:0\n      tls: {{certificate: {}, key: {}, client_ca: {}}}",
        certificate.display(),
        key.display(),
        authority.display()
    ));
    let lapwing = home.start().await;
    let events = 2_000;
    let lines: Vec<String> =
        (0..events).map(|number| stopped(&format!("ng-{number}"), "ana").replace('\n', "")).collect();
    std::fs::write(home.path("in.log"), lines.join("\n") + "\n").expect("it can be written");
    let Some(_relay) = syslog_ng(&home, port(&lapwing, "tcp").await) else { return };
    has_counted(&lapwing, "relay", events).await;
    lapwing.has_alerts(events).await;
    assert_eq!(counted(&lapwing, "relay").await, events as f64);
    assert_eq!(lapwing.status().await["dead_records"], 0);
    assert_eq!(lapwing.complaints(), Vec::<String>::new());
}

/// Python with OpenTelemetry's own packages.
fn python() -> Option<PathBuf> {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.venv/bin/python3"));
    let given = std::env::var_os("LAPWING_PYTHON").map(PathBuf::from);
    let found = given.into_iter().chain([own, "python3".into()]).find(|python| {
        let mut asked = Command::new(python);
        asked.args(["-c", "import opentelemetry.exporter.otlp.proto.http._log_exporter"]).stderr(Stdio::null());
        asked.status().is_ok_and(|status| status.success())
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI may skip nothing: OpenTelemetry's Python packages are missing");
        loudly("SKIPPED: OpenTelemetry's Python packages are not installed (make venv)");
    }
    found
}

#[tokio::test]
async fn what_opentelemetrys_sdk_exports_is_taken_with_its_token() {
    let Some(python) = python() else { return };
    let home = Home::new();
    home.configure("sources: {otel: {kind: auto, otlp: {token: open-sesame}}}");
    let lapwing = home.start().await;
    for (place, path) in ["/v1/logs", "/v1/events/otel/v1/logs"].into_iter().enumerate() {
        let records: Vec<String> = (0..50).map(|number| stopped(&format!("otel-{place}-{number}"), "ana")).collect();
        let exported = Command::new(&python)
            .arg("tests/senders/export.py")
            .args([&lapwing.url(path), "open-sesame", &json!(records).to_string()])
            .output()
            .expect("python is there");
        assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
        // Each as text and as a map, and one that is no record of a vendor's.
        has_counted(&lapwing, "otel", (place + 1) * 101).await;
        lapwing.has_alerts((place + 1) * 50).await;
    }
    assert_eq!(lapwing.status().await["dead_records"], 0);
    let refused = Command::new(&python)
        .arg("tests/senders/export.py")
        .args([&lapwing.url("/v1/logs"), "another", "[]"])
        .output()
        .expect("python is there");
    assert!(!refused.status.success(), "a wrong token is told");
}
