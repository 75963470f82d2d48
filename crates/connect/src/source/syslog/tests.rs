//! The source as its senders see it: `logger`, and clients that do what a well-behaved one would not.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::source::Body;
use crate::source::contract::{numbered, yields_all_in_order};

/// A source that listens as these settings say.
fn open(settings: Value) -> Syslog {
    let settings: Settings = serde_json::from_value(settings).unwrap();
    assert_eq!(settings.nonsense(), None);
    let mut source = Syslog::new("logs", &settings, "run", Clock::Wall);
    source.listen().unwrap();
    source
}

/// The next so many records, as text.
async fn read(source: &mut Syslog, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        let Next::Batch(batch) = source.next().await.unwrap() else { panic!("it ended after {texts:?}") };
        texts.extend(batch.records.into_iter().map(|record| match record.body {
            Body::Whole(text) => String::from_utf8(text.to_vec()).unwrap(),
            Body::Refused { reason, .. } => format!("{reason:?}"),
        }));
    }
    texts
}

/// All that comes until it is exhausted.
async fn rest(source: &mut Syslog) -> usize {
    let mut count = 0;
    while let Next::Batch(batch) = source.next().await.unwrap() {
        count += batch.records.len();
    }
    count
}

#[tokio::test]
async fn a_connection_keeps_the_contract() {
    let mut source = open(json!({"tcp": "127.0.0.1:0"}));
    let records = numbered(2_000);
    let (address, text) = (source.addresses()[0], records.join("\n"));
    let sending = tokio::spawn(async move {
        TcpStream::connect(address).await.unwrap().write_all(text.as_bytes()).await.unwrap();
    });
    yields_all_in_order(&mut source, &records).await;
    sending.await.unwrap();
}

#[tokio::test]
async fn logger_is_understood_in_all_that_it_can_write() {
    if Command::new("logger").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI may skip nothing: logger is missing");
        writeln!(std::io::stderr(), "SKIPPED: logger is not installed (bsdutils)").unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = |name: &str| folder.path().join(name).display().to_string();
    let mut source = open(json!({
        "tcp": "127.0.0.1:0", "udp": "127.0.0.1:0", "unix": socket("stream"), "unix_datagram": socket("datagram"),
    }));
    let [tcp, udp] = [0, 1].map(|place| source.addresses()[place].port().to_string());
    let (stream, datagram) = (socket("stream"), socket("datagram"));
    let remote = |transport: &'static str, port: &str| {
        ["--server", "127.0.0.1", transport, "--port", port].map(str::to_owned).to_vec()
    };
    let local = |path: &str| ["--socket", path].map(str::to_owned).to_vec();
    for (mut place, form) in [
        (remote("--tcp", &tcp), vec!["--rfc5424"]),
        (remote("--tcp", &tcp), vec!["--rfc5424", "--octet-count"]),
        (remote("--tcp", &tcp), vec!["--rfc3164"]),
        (remote("--tcp", &tcp), vec!["--rfc3164", "--octet-count"]),
        (remote("--udp", &udp), vec!["--rfc5424"]),
        (remote("--udp", &udp), vec!["--rfc3164"]),
        (local(&stream), vec![]),
        (local(&datagram), vec![]),
    ] {
        for message in ["user ana: signed in", r#"{"user":"ana","at":[1,2]}"#] {
            place.extend(form.iter().map(|&option| option.to_owned()));
            let sent = Command::new("logger")
                .args(&place)
                .args(["--priority", "auth.warning", "--tag", "shop", "--id=42", "--", message])
                .status()
                .unwrap();
            assert!(sent.success());
            let record: Value = serde_json::from_str(&read(&mut source, 1).await[0]).unwrap();
            let case = format!("{place:?}: {record}");
            if message.starts_with('{') {
                assert_eq!(record["record"], json!({"user": "ana", "at": [1, 2]}), "{case}");
                assert!(record["carried"]["time"].is_string(), "{case}");
                continue;
            }
            assert_eq!(record["message"], message, "{case}");
            let said = ["app", "procid", "facility", "severity"].map(|name| record[name].as_str().unwrap_or("-"));
            assert_eq!(said, ["shop", "42", "auth", "warning"], "{case}");
            let time: engine::time::Timestamp = record["time"].as_str().unwrap().parse().unwrap();
            let age = Clock::Wall.now().since(time).micros() / 60_000_000;
            // RFC 3164 writes local time; that of a machine elsewhere is another hour.
            assert!(age < 16 * 60, "{case}");
        }
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_costs_neither_its_connection_nor_the_next_one() {
    let mut source = open(json!({"tcp": "127.0.0.1:0", "message_bytes_max": 2_048}));
    let mut sender = TcpStream::connect(source.addresses()[0]).await.unwrap();
    let long = "x".repeat(100_000);
    let text = format!("{{\"a\":1}}\n100004 <13>{long}{{\"a\":2}}\n<13>{long}\n7 {{\"a\":3}}9 {{\"a\":");
    sender.write_all(text.as_bytes()).await.unwrap();
    drop(sender);
    let texts = read(&mut source, 6).await;
    assert_eq!(texts, [r#"{"a":1}"#, "TooLong", r#"{"a":2}"#, "TooLong", r#"{"a":3}"#, "Corrupt"]);
}

#[tokio::test]
async fn one_who_stops_in_the_middle_of_a_message_delays_nobody() {
    let mut source = open(json!({"tcp": "127.0.0.1:0"}));
    let address = source.addresses()[0];
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"1000 <13>half of").await.unwrap();
    TcpStream::connect(address).await.unwrap().write_all(b"{\"a\":1}\n").await.unwrap();
    assert_eq!(read(&mut source, 1).await, [r#"{"a":1}"#]);
}

#[tokio::test]
async fn while_nobody_takes_messages_senders_wait_and_memory_stays_within_its_limit() {
    let mut source = open(json!({"tcp": "127.0.0.1:0"}));
    let address = source.addresses()[0];
    let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(1_000));
    // Far more than the source and the system take together.
    let count = 40_000;
    let (written, mut seen) = tokio::sync::watch::channel(0_usize);
    let sending = tokio::spawn(async move {
        let mut sender = TcpStream::connect(address).await.unwrap();
        for number in 1..=count {
            sender.write_all(line.as_bytes()).await.unwrap();
            written.send_replace(number);
        }
    });
    // It comes to a stand.
    while tokio::time::timeout(Duration::from_secs(1), seen.changed()).await.is_ok() {}
    let stood_at = *seen.borrow();
    assert!(stood_at < count, "everything was taken though nobody asked for it");
    assert_eq!(read(&mut source, count).await.len(), count);
    sending.await.unwrap();
}

#[tokio::test]
async fn a_stop_hands_on_all_that_was_received() {
    let mut source = open(json!({"tcp": "127.0.0.1:0", "udp": "127.0.0.1:0"}));
    let (tcp, udp) = (source.addresses()[0], source.addresses()[1]);
    let mut sender = TcpStream::connect(tcp).await.unwrap();
    sender.write_all(b"{\"a\":1}\n").await.unwrap();
    assert_eq!(read(&mut source, 1).await.len(), 1);
    for _ in 0..500 {
        sender.write_all(b"{\"a\":1}\n").await.unwrap();
    }
    // One that has connected and was not let in yet; and one by datagram.
    let mut second = TcpStream::connect(tcp).await.unwrap();
    second.write_all(b"{\"a\":1}\n{\"a\":1}\n{\"a\":").await.unwrap();
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"{\"a\":1}", udp).unwrap();
    assert!(source.stop(), "there may be more");
    assert_eq!(rest(&mut source).await, 503, "what is whole");
    assert!(matches!(source.next().await, Ok(Next::Exhausted)));
    assert_eq!(sender.read(&mut [0]).await.unwrap_or(0), 0, "the connection is closed");
    assert!(TcpStream::connect(tcp).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_stop_hands_on_the_last_line_of_one_who_has_ended_though_it_has_no_end() {
    let mut source = open(json!({"tcp": "127.0.0.1:0"}));
    let mut sender = TcpStream::connect(source.addresses()[0]).await.unwrap();
    sender.write_all(b"{\"a\":1}\n{\"a\":2}").await.unwrap();
    sender.shutdown().await.unwrap();
    assert!(source.stop(), "there may be more");
    assert_eq!(rest(&mut source).await, 2);
}

#[test]
fn a_source_that_never_listened_has_nothing_to_hand_on() {
    let settings: Settings = serde_json::from_value(json!({"tcp": "127.0.0.1:0"})).unwrap();
    assert!(!Syslog::new("logs", &settings, "run", Clock::Wall).stop());
}

#[tokio::test]
async fn a_silent_connection_is_closed_and_a_full_house_lets_the_next_one_in() {
    let mut source = open(json!({"tcp": "127.0.0.1:0", "idle": "20ms", "connections_max": 1}));
    let address = source.addresses()[0];
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut next = TcpStream::connect(address).await.unwrap();
    next.write_all(b"{\"a\":1}\n").await.unwrap();
    assert_eq!(read(&mut source, 1).await, [r#"{"a":1}"#]);
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0, "closed");
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_and_tried_again() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings: Settings = serde_json::from_value(json!({"tcp": taken.local_addr().unwrap()})).unwrap();
    let mut source = Syslog::new("logs", &settings, "run", Clock::Wall);
    let error = source.next().await.unwrap_err();
    assert!(error.to_string().contains("somebody else listens there"), "{error}");
    assert_eq!(error.remedy, crate::source::Remedy::Person);
    drop(taken);
    source.listen().unwrap();
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_made_anew_and_one_in_use_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let settings = json!({"unix": path, "unix_mode": "622"});
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let source = open(settings.clone());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o622);
    let second: Settings = serde_json::from_value(settings.clone()).unwrap();
    let error = Syslog::new("second", &second, "run", Clock::Wall).listen().unwrap_err();
    assert!(error.to_string().contains("somebody else listens there"), "{error}");
    drop(source);
    tokio::task::yield_now().await;
    std::fs::write(folder.path().join("file"), "precious").unwrap();
    let third: Settings = serde_json::from_value(json!({"unix": folder.path().join("file")})).unwrap();
    let error = Syslog::new("third", &third, "run", Clock::Wall).listen().unwrap_err();
    assert!(crate::probe::words(&error).contains("move it away"), "{error:?}");
}

#[tokio::test]
async fn what_the_system_dropped_is_a_gap() {
    let mut source = open(json!({"udp": "127.0.0.1:0"}));
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    // On one thread nothing is read meanwhile, and the system keeps a few hundred.
    let sent = 5_000;
    for _ in 0..sent {
        sender.send_to(format!("{{\"a\":\"{}\"}}", "x".repeat(1_000)).as_bytes(), source.addresses()[0]).unwrap();
    }
    let (mut read, mut dropped) = (0, 0);
    while read + dropped < sent {
        let Next::Batch(batch) = source.next().await.unwrap() else { panic!("it listens") };
        read += batch.records.len();
        for gap in batch.gaps {
            let words: Vec<&str> = gap.what.split(' ').collect();
            assert_eq!(
                (words[..3].join(" "), words[4]),
                ("the system dropped".to_owned(), "datagrams"),
                "{}",
                gap.what
            );
            dropped += words[3].parse::<usize>().unwrap();
        }
    }
    assert!(dropped > 0, "all of them were read");
    assert_eq!(read + dropped, sent);
}

/// An authority, and certificates by it.
struct Authority(TempDir);

impl Authority {
    fn new() -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        authority.openssl(
            &["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority"]
                .into_iter()
                .chain(["-keyout", "ca.key", "-out", "ca.pem"])
                .collect::<Vec<_>>(),
        );
        authority
    }

    fn openssl(&self, arguments: &[&str]) {
        let made = Command::new("openssl").args(arguments).current_dir(self.0.path()).stderr(Stdio::null()).status();
        assert!(made.expect("openssl is there").success(), "openssl {arguments:?}");
    }

    /// `{name}.pem` and `{name}.key`, by the authority.
    fn issue(&self, name: &str) {
        let [request, certificate, key] = ["csr", "pem", "key"].map(|ending| format!("{name}.{ending}"));
        self.openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
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
            &certificate,
        ]);
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap).collect()
}

/// Says this by TLS, showing a certificate or none; what the other side showed, if it let us in.
async fn say(address: SocketAddr, authority: &Authority, shown: Option<&str>, text: &str) -> Option<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    certificates(&authority.path("ca.pem")).into_iter().for_each(|root| roots.add(root).unwrap());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let key = PrivateKeyDer::from_pem_file(authority.path(&format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(certificates(&authority.path(&format!("{name}.pem"))), key).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()?;
    // Whoever is not let in is told so only now: the end of a good connection is silent.
    match stream.read(&mut [0]).await {
        Ok(0) => Some(certificate),
        Ok(_) | Err(_) => None,
    }
}

#[tokio::test]
async fn who_shows_no_certificate_of_the_authority_is_not_heard_and_a_renewed_one_is_used() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for name in ["server", "sender", "renewed"] {
        authority.issue(name);
    }
    stranger.issue("sender");
    std::fs::copy(authority.path("ca.pem"), stranger.path("ca.pem")).unwrap();
    let files = json!({
        "certificate": authority.path("server.pem"), "key": authority.path("server.key"), "client_ca": authority.path("ca.pem"),
    });
    let mut source = open(json!({"tcp": "127.0.0.1:0", "tls": files}));
    let address = source.addresses()[0];
    assert_eq!(say(address, &authority, None, "{\"a\":0}\n").await, None, "no certificate");
    assert_eq!(say(address, &stranger, Some("sender"), "{\"a\":0}\n").await, None, "by another authority");
    let first = say(address, &authority, Some("sender"), "7 {\"a\":1}").await.expect("let in");
    assert_eq!(read(&mut source, 1).await, [r#"{"a":1}"#]);

    // A certificate without its key is not used; both together are.
    std::fs::copy(authority.path("renewed.pem"), authority.path("server.pem")).unwrap();
    let second = say(address, &authority, Some("sender"), "7 {\"a\":2}").await.expect("let in");
    assert_eq!(second, first, "the one before stays");
    std::fs::copy(authority.path("renewed.key"), authority.path("server.key")).unwrap();
    let third = say(address, &authority, Some("sender"), "7 {\"a\":3}").await.expect("let in");
    assert_eq!(third, certificates(&authority.path("renewed.pem"))[0].to_vec());
    assert_eq!(read(&mut source, 2).await, [r#"{"a":2}"#, r#"{"a":3}"#]);
}

#[test]
fn a_probe_says_what_would_be_in_the_way() {
    let authority = Authority::new();
    authority.issue("server");
    authority.issue("other");
    let found = |settings: Value| {
        let settings: Settings = serde_json::from_value(settings).unwrap();
        probe(&settings).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let tls = |key: &str| json!({"certificate": authority.path("server.pem"), "key": authority.path(key)});
    let good = found(json!({"tcp": "127.0.0.1:0", "tls": tls("server.key"), "unix": authority.path("socket")}));
    assert!(!good.contains("FAILS") && good.contains("can be made"), "{good}");
    assert!(!authority.path("socket").exists(), "nothing was changed");
    for (settings, words) in [
        (json!({"tcp": "127.0.0.1:0", "tls": tls("other.key")}), "with its key"),
        (json!({"tcp": "127.0.0.1:0", "tls": tls("nowhere.key")}), "nowhere.key"),
        (json!({"udp": "192.0.2.1:514"}), "no such address"),
        (json!({"unix": "/nowhere/socket"}), "make its folder"),
        (json!({"unix_datagram": authority.path("ca.pem")}), "move it away"),
    ] {
        let text = found(settings.clone());
        assert!(text.contains("FAILS") && text.contains(words), "{settings}: {text}");
    }
}
