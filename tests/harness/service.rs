//! The real binary: started on a folder of its own, killed, terminated, started again.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::{Receiver, until};

/// Lines of the log that a failing test shows.
const LOG_SHOWN: usize = 40;

/// A service that has not refused to run by then has started.
const REFUSAL_MAX: Duration = Duration::from_secs(60);

/// What a service says that halts at the fail point which it was given.
const HALTED: &str = "LAPWING_FAIL: reached";

/// A folder with a configuration and the service's data. Outlives every process that is started on it.
pub(crate) struct Home {
    folder: TempDir,
    environment: Vec<(String, PathBuf)>,
}

impl Home {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("there is room for a folder"), environment: Vec::new() }
    }

    /// From now on services are started with this environment variable.
    pub(crate) fn sets(&mut self, name: &str, value: PathBuf) {
        self.environment.push((name.to_owned(), value));
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration: `text` says sources, sinks and what else; data folder and address are set.
    pub(crate) fn configure(&self, text: &str) {
        let text = format!("data: {}\nlisten: 127.0.0.1:0\n{text}\n", self.path("data").display());
        std::fs::write(self.path("lapwing.yaml"), text).expect("the configuration can be written");
    }

    /// Starts the service and waits until it listens.
    pub(crate) async fn start(&self) -> Lapwing {
        let mut lapwing = self.spawn();
        lapwing.listens().await;
        lapwing
    }

    /// Starts a service that must refuse to run; what it says.
    pub(crate) fn refusal(&self) -> String {
        let mut child = self.command().stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let said = std::thread::spawn(move || std::io::read_to_string(&mut stderr).unwrap_or_default());
        let limit = Instant::now() + REFUSAL_MAX;
        let ended = loop {
            match child.try_wait().expect("a child can be asked") {
                Some(status) => break Some(status),
                None if Instant::now() > limit => break None,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        if ended.is_none() {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
        let said = said.join().expect("stderr can be read");
        let status = ended.unwrap_or_else(|| panic!("it runs and was to refuse: {said}"));
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }

    fn command(&self) -> Command {
        let mut command = Command::new(Lapwing::binary());
        command
            .args(["run", "--config"])
            .arg(self.path("lapwing.yaml"))
            .env_remove("LAPWING_LOG")
            .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Starts the service and does not wait.
    pub(crate) fn spawn(&self) -> Lapwing {
        self.spawn_with(&[])
    }

    /// The same with these variables in its environment.
    pub(crate) fn spawn_with(&self, variables: &[(&str, String)]) -> Lapwing {
        let mut command = self.command();
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary starts");
        let lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let child = Arc::new(Mutex::new(child));
        let lapwing = Lapwing {
            child,
            log: Arc::default(),
            falls: Arc::default(),
            address: None,
            client: reqwest::Client::new(),
        };
        let (child, log, falls) = (lapwing.child.clone(), lapwing.log.clone(), lapwing.falls.clone());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let halted = line.contains(HALTED);
                lock(&log).push(line);
                if halted && falls.load(Ordering::SeqCst) {
                    lock(&child).kill().expect("a child can be killed");
                }
            }
        });
        lapwing
    }
}

/// No holder of such a lock panics.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("no holder of this lock panics")
}

/// A running service. Dropping it kills it; in a failing test its log is shown then.
pub(crate) struct Lapwing {
    child: Arc<Mutex<Child>>,
    log: Arc<Mutex<Vec<String>>>,
    /// Whether it is killed as soon as it halts at its fail point.
    falls: Arc<AtomicBool>,
    address: Option<SocketAddr>,
    client: reqwest::Client,
}

impl Lapwing {
    /// The binary under test; `LAPWING_BINARY` names another one, such as a release build.
    pub(crate) fn binary() -> PathBuf {
        std::env::var_os("LAPWING_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_lapwing").into(), PathBuf::from)
    }

    /// Waits until it listens; its address is known from then on.
    pub(crate) async fn listens(&mut self) -> SocketAddr {
        let address = until("the service to listen", async || {
            let ended = self.ended();
            let log = lock(&self.log);
            let address = log.iter().find_map(|line| line.split_once("listening address=")?.1.trim().parse().ok());
            // It may have said so and ended since.
            match ended {
                Some(status) if address.is_none() => panic!("the service ended before it listened: {status}"),
                Some(_) | None => address,
            }
        })
        .await;
        self.address = Some(address);
        address
    }

    /// The same, but whether it came so far: it may also end before, or halt at a fail point.
    pub(crate) async fn comes_up(&mut self) -> bool {
        until("the service to listen or to end", async || {
            if self.log_has("listening address=") {
                return Some(true);
            }
            self.is_gone().then_some(false)
        })
        .await
            && {
                self.listens().await;
                true
            }
    }

    /// Whether it ended, or halted at the fail point that it was given.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.log_has(HALTED) || self.has_ended()
    }

    /// From now on it is killed the moment that it halts at its fail point, and not some time after: the others do not
    /// run on.
    pub(crate) fn falls_where_it_halts(&mut self) {
        self.falls.store(true, Ordering::SeqCst);
        // Whoever looks second sees what the other did: this, or the thread that reads the log.
        if self.log_has(HALTED) {
            lock(&self.child).kill().expect("a child can be killed");
        }
    }

    /// `kill -9`: nothing is finished, nothing is said.
    pub(crate) fn kill(self) -> ExitStatus {
        let mut child = lock(&self.child);
        child.kill().expect("a child can be killed");
        child.wait().expect("a killed child ends")
    }

    /// `kill -9` of one that halted at its fail point; fails if it did not come so far, or ended in another way.
    #[track_caller]
    pub(crate) fn kill_where_it_halted(self, point: &str) {
        assert!(self.log_has(HALTED), "the service ended before {point}");
        let ended = self.kill();
        assert_eq!(ended.signal(), Some(9), "at {point} it ended by itself: {ended}");
    }

    /// Sends it a signal by its short name, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let id = lock(&self.child).id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill is there");
        assert!(sent.success(), "kill -{name} {id}: {sent}");
    }

    /// Fails if it has ended or panicked.
    pub(crate) fn still_runs(&mut self) {
        let ended = self.ended();
        assert!(ended.is_none(), "the service ended: {ended:?}");
        assert!(!self.log_has("panicked"), "the service panicked");
    }

    /// Whether it has ended, however.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.ended().is_some()
    }

    fn ended(&self) -> Option<ExitStatus> {
        lock(&self.child).try_wait().expect("a child can be asked")
    }

    /// SIGTERM, and waits for the orderly end.
    pub(crate) async fn terminate(self) -> ExitStatus {
        self.ask_to_stop();
        until("the service to end after SIGTERM", async || self.ended()).await
    }

    /// SIGTERM alone: what a supervisor sends some time before `kill -9`.
    pub(crate) fn ask_to_stop(&self) {
        self.signal("TERM");
    }

    /// What asks its web server.
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.expect("`listens` came first")
    }

    /// A URL of its web server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The JSON that it answers at this path.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(self.url(path)).send().await.expect("the service answers");
        let status = answer.status();
        let text = answer.text().await.expect("an answer has a body");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).expect("the API answers JSON")
    }

    /// `GET /api/v1/status`.
    pub(crate) async fn status(&self) -> Value {
        self.get("/api/v1/status").await
    }

    /// Every alert that stands, as the API lists it, page by page.
    pub(crate) async fn rows(&self) -> Vec<Value> {
        let (mut rows, mut path) = (Vec::new(), "/api/v1/alerts?limit=500".to_owned());
        loop {
            let page = self.get(&path).await;
            rows.extend(page["alerts"].as_array().expect("a page lists alerts").iter().cloned());
            let Some(next) = page["next"].as_str() else { return rows };
            path = format!("/api/v1/alerts?limit=500&after={next}");
        }
    }

    /// Waits until the source has handed on this many events since this process started.
    pub(crate) async fn has_read(&self, source: &str, events: usize) {
        until(&format!("{events} events from {source}"), async || {
            let status = self.status().await;
            let found = status["sources"].as_array()?.iter().find(|found| found["name"] == source)?;
            (found["events"].as_u64()? >= events as u64).then_some(())
        })
        .await;
    }

    /// Waits until the receiver was told of every alert that stands, up to its last revision, and nothing
    /// is queued. Only right for configurations whose routes send everything there.
    pub(crate) async fn everybody_told(&self, receiver: &Receiver) {
        until("every alert to reach the receiver", async || {
            let told = receiver.alerts();
            let reached = |row: &Value| {
                let id = row["id"].as_str().expect("a row has an id");
                told.get(id).is_some_and(|(revision, _)| Some(*revision) == row["revision"].as_u64())
            };
            let all = self.rows().await.iter().all(reached);
            let sinks = self.status().await["sinks"].clone();
            let idle = sinks.as_array()?.iter().all(|sink| sink["queued"] == 0);
            (all && idle).then_some(())
        })
        .await;
    }

    /// Whether a line of its log holds this text.
    pub(crate) fn log_has(&self, text: &str) -> bool {
        lock(&self.log).iter().any(|line| line.contains(text))
    }

    /// The first line of its log that holds this text.
    pub(crate) fn line(&self, text: &str) -> Option<String> {
        lock(&self.log).iter().find(|line| line.contains(text)).cloned()
    }

    /// Warnings and errors in its log.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = lock(&self.log);
        let bad = |line: &&String| [" WARN ", " ERROR ", "panicked"].iter().any(|word| line.contains(word));
        log.iter().filter(bad).cloned().collect()
    }

    /// The alerts that `lapwing replay` prints for a file of CloudTrail records.
    pub(crate) fn replay(file: &Path) -> Vec<Value> {
        let output = Command::new(Self::binary())
            .args(["replay", "--kind", "aws.cloudtrail"])
            .arg(file)
            .output()
            .expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "replay: {}\n{said}", output.status);
        let text = String::from_utf8(output.stdout).expect("alerts are UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is an alert")).collect()
    }
}

impl Drop for Lapwing {
    fn drop(&mut self) {
        if let Ok(mut child) = self.child.lock()
            && matches!(child.try_wait(), Ok(None))
            && child.kill().is_ok()
        {
            drop(child.wait());
        }
        if std::thread::panicking()
            && let Ok(log) = self.log.lock()
        {
            let shown = log.len().saturating_sub(LOG_SHOWN);
            eprintln!("the service's last words:\n{}", log[shown..].join("\n"));
        }
    }
}
