//! `lapwing store`: a data folder is checked, copied while it is used, brought back and brought up to date, and each
//! refusal says what to do.

mod harness;

use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use harness::{Corpus, Home, Lapwing, Receiver, github, stopped, until};

/// What a command found and said, and how it ended.
struct Said {
    words: String,
    code: Option<i32>,
}

impl Said {
    #[track_caller]
    fn says(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.words);
        assert!(!self.words.contains("panicked"), "{}", self.words);
        for word in words {
            assert!(self.words.contains(word), "not said: {word:?} in {}", self.words);
        }
    }
}

/// `lapwing store …`, with words and paths.
fn store(arguments: &[&str]) -> Said {
    let output = Command::new(Lapwing::binary()).arg("store").args(arguments).output().expect("the binary starts");
    let [found, said] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    // What `verify` finds is its output, as of `cmp` or `fsck`; all else is words, and those are for stderr.
    let is_found =
        |line: &str| ["OK: ", "wrong: ", "and ", "every page is sound"].iter().any(|it| line.starts_with(it));
    match arguments[0] {
        "verify" => {
            assert!(found.lines().all(is_found), "on stdout: {found}");
            assert!(
                !said.lines().any(|line| line.starts_with("OK: ") || line.starts_with("wrong: ")),
                "on stderr: {said}"
            );
        }
        command => assert_eq!(found, "", "{command}: words are for stderr"),
    }
    Said { words: found + &said, code: output.status.code() }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}

fn open(folder: &Path) -> Connection {
    Connection::open(folder.join("lapwing.db")).expect("a store can be opened")
}

/// A service that follows a file, has told all of it to a receiver, and was stopped in order.
async fn settled() -> (Home, Receiver) {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let file = home.path("trail.jsonl");
    std::fs::write(&file, Corpus::open().lines().join("\n") + "\n").expect("the file can be written");
    home.configure(&format!(
        "sources:\n  trail: {{kind: aws.cloudtrail, file: {{path: {}}}}}\n  push: {{kind: auto, http: {{}}}}\nsinks:\n  soc: {}",
        file.display(),
        receiver.sink()
    ));
    let lapwing = home.start().await;
    lapwing.has_read("trail", Corpus::open().lines().len()).await;
    lapwing.everybody_told(&receiver).await;
    assert!(lapwing.terminate().await.success());
    (home, receiver)
}

#[tokio::test]
async fn a_sound_store_is_ok_with_numbers_while_the_service_runs_and_after_it() {
    let (home, receiver) = settled().await;
    let data = home.path("data");
    store(&["verify", "--data", text(&data)]).says(0, &["OK: ", " alerts, 0 messages queued", "archived events in"]);
    let lapwing = home.start().await;
    store(&["verify", "--config", text(&home.path("lapwing.yaml"))]).says(0, &["OK: "]);
    lapwing.kill();
    store(&["verify", "--data", text(&data)]).says(0, &["OK: "]);
    drop(receiver);
}

#[tokio::test]
async fn each_fault_of_a_store_is_named_and_the_way_out_is_said() {
    let (home, _receiver) = settled().await;
    let data = home.path("data");
    let segment = data.join("archive/0000000001.jsonl.zst");
    let whole = std::fs::read(&segment).expect("there is an archive");
    for (harm, mend, fault) in [
        (
            "UPDATE alerts SET body = '{' || body WHERE sequence = 1",
            "UPDATE alerts SET body = substr(body, 2) WHERE sequence = 1",
            "cannot be read",
        ),
        ("UPDATE snapshot_parts SET bytes = CAST(x'00' || substr(bytes, 2) AS BLOB)", "", "saved state has version 0"),
    ] {
        open(&data).execute(harm, []).expect("a store can be harmed");
        store(&["verify", "--data", text(&data)]).says(1, &["wrong: ", fault, "lapwing store "]);
        if !mend.is_empty() {
            open(&data).execute(mend, []).expect("a store can be mended");
        }
    }
    std::fs::write(&segment, &whole[..whole.len() / 2]).expect("a segment can be cut");
    store(&["verify", "--data", text(&data)]).says(1, &["wrong: archive segment 1: frame at "]);
    std::fs::remove_file(&segment).expect("a segment can be removed");
    store(&["verify", "--data", text(&data)]).says(1, &["wrong: archive segment 1: frame at 0: No such file"]);
    let file = data.join("lapwing.db");
    let mut bytes = std::fs::read(&file).expect("the store can be read");
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x5a);
    std::fs::write(&file, bytes).expect("the store can be written");
    store(&["verify", "--data", text(&data)]).says(1, &["lapwing store restore --replace FROM"]);
    store(&["verify", "--data", text(&home.path("nothing"))])
        .says(1, &["there is no store in", "is it the data folder?"]);
}

#[tokio::test]
async fn a_backup_of_a_running_service_is_whole_and_what_came_after_it_is_read_again_without_new_alerts() {
    let (home, receiver) = settled().await;
    let (data, copy) = (home.path("data"), home.path("copy"));
    let lapwing = home.start().await;
    let known = receiver.alerts();
    store(&["backup", text(&copy), "--data", text(&data)]).says(0, &["backup: ", " alerts, "]);
    store(&["verify", "--data", text(&copy)]).says(0, &["OK: "]);
    store(&["backup", text(&copy), "--data", text(&data)]).says(1, &["is there already", "name another folder"]);
    // After the backup: one more in the file.
    let more = stopped("after-the-backup", "nina");
    let mut file = std::fs::OpenOptions::new().append(true).open(home.path("trail.jsonl")).expect("the file is there");
    std::io::Write::write_all(&mut file, format!("{more}\n").as_bytes()).expect("the file can grow");
    until("the alert that comes after the backup", async || (receiver.alerts().len() > known.len()).then_some(()))
        .await;
    lapwing.everybody_told(&receiver).await;
    let all = receiver.alerts();

    let at = text(&data);
    store(&["restore", text(&copy), "--data", at]).says(1, &["another Lapwing uses"]);
    store(&["restore", text(&copy), "--replace", "--data", at]).says(1, &["another Lapwing uses"]);
    assert!(lapwing.terminate().await.success());
    store(&["restore", text(&copy), "--data", at]).says(1, &["holds a store", "`--replace` moves it aside"]);
    store(&["restore", at, "--data", at]).says(1, &["is the data folder itself"]);
    store(&["restore", text(&copy), "--replace", "--data", at]).says(
        0,
        &[
            "what was there is in",
            "restored: ",
            "source trail is read on from",
            "under the same ids",
            "must be pushed again",
        ],
    );
    store(&["verify", "--data", at]).says(0, &["OK: "]);
    let lapwing = home.start().await;
    lapwing.has_alerts(all.len()).await;
    lapwing.everybody_told(&receiver).await;
    assert!(receiver.alerts() == all, "read again, it is the same");
    assert!(lapwing.terminate().await.success());
    assert_eq!(receiver.faults(), Vec::<String>::new());

    std::fs::remove_dir_all(&data).expect("a folder can be lost");
    store(&["restore", text(&copy), "--data", at]).says(0, &["restored: "]);
    store(&["restore", text(&home.path("nothing")), "--data", at]).says(1, &["name the folder of a backup"]);
}

#[tokio::test]
async fn a_backup_that_is_damaged_is_not_brought_back_and_the_folder_stays_as_it_was() {
    let (home, _receiver) = settled().await;
    let (data, copy) = (home.path("data"), home.path("copy"));
    store(&["backup", text(&copy), "--data", text(&data)]).says(0, &["backup: "]);
    std::fs::write(copy.join("archive/0000000001.jsonl.zst"), "no zstd").expect("a backup can be harmed");
    store(&["restore", text(&copy), "--replace", "--data", text(&data)]).says(1, &["the copy is not sound"]);
    store(&["verify", "--data", text(&data)]).says(0, &["OK: "]);
}

/// What another version saved: its first byte says so.
#[tokio::test]
async fn an_orderly_stop_leaves_all_of_the_store_in_its_file() {
    let (home, _receiver) = settled().await;
    let beside: Vec<_> = ["lapwing.db-wal", "lapwing.db-shm"].map(|name| home.path("data").join(name)).into();
    assert_eq!(beside.iter().filter(|path| path.exists()).collect::<Vec<_>>(), Vec::<&std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_store_that_lost_its_log_or_its_file_does_not_begin_anew_in_silence() {
    let home = Home::new();
    home.configure("sources:\n  push: {kind: aws.cloudtrail, http: {}}");
    let lapwing = home.start().await;
    assert_eq!(lapwing.push("push", stopped("a", "ana")).await.status, 200);
    lapwing.kill();
    let data = home.path("data");
    let [file, log] = ["lapwing.db", "lapwing.db-wal"].map(|name| data.join(name));
    let kept = std::fs::read(&log).expect("all of it is still in the log");
    for harm in ["cut at its beginning", "gone", "without its file"] {
        match harm {
            "cut at its beginning" => std::fs::write(&log, &kept[..20]).expect("the log can be cut"),
            "gone" => std::fs::remove_file(&log).expect("the log can be removed"),
            _ => std::fs::remove_file(&file).expect("the file can be removed"),
        }
        let said = home.refusal();
        for words in ["the archive holds events", "lapwing store restore --replace", "move the whole folder away"] {
            assert!(said.contains(words), "{harm}: {words:?} in {said}");
        }
        store(&["verify", "--data", text(&data)]).says(1, &[]);
    }
    assert!(!file.exists(), "a refusal makes no store");
}

#[tokio::test]
async fn windows_of_another_version_are_refused_with_the_way_out_which_keeps_everything_else() {
    for table in [
        "snapshot_parts SET bytes = CAST(x'fe' || substr(bytes, 2) AS BLOB) WHERE part = 0",
        "journal SET sightings = CAST(x'fe' || substr(sightings, 2) AS BLOB)",
    ] {
        let (home, receiver) = settled().await;
        let data = home.path("data");
        if table.starts_with("journal") {
            let add = "INSERT INTO journal SELECT value + 1, x'00' FROM meta WHERE name = 'number'";
            open(&data).execute(add, []).expect("a journal can grow");
        }
        open(&data).execute(&format!("UPDATE {table}"), []).expect("a store can be changed");
        let refused = home.refusal();
        assert!(refused.contains("lapwing store migrate --forget-windows"), "{refused}");
        assert!(refused.contains("version 254"), "{refused}");
        store(&["migrate", "--data", text(&data)]).says(1, &["lapwing store migrate --forget-windows", "version 254"]);
        let said = store(&["migrate", "--forget-windows", "--data", text(&data)]);
        said.says(0, &["forgotten: ", "windows count from zero", "before-forgetting-", "OK: "]);
        store(&["verify", "--data", text(&saved(&data))]).says(1, &["version 254"]);

        let told = receiver.arrivals().len();
        let lapwing = home.start().await;
        lapwing.everybody_told(&receiver).await;
        let push = lapwing.push("push", github("after")).await;
        assert_eq!(push.status, 200);
        assert_eq!(lapwing.push("push", Corpus::open().lines()[..500].join("\n")).await.status, 200);
        lapwing.everybody_told(&receiver).await;
        assert_eq!(receiver.arrivals().len(), told + 1, "positions and counted ids stayed: only what is new is told");
        assert!(lapwing.terminate().await.success());
    }
}

/// Both are new in the next version: the tables, and how windows are written down.
#[tokio::test]
async fn a_version_that_cannot_read_the_windows_changes_nothing_so_that_the_one_before_can_go_on() {
    let (home, _receiver) = settled().await;
    let data = home.path("data");
    let schema = |folder: &Path| -> u32 {
        open(folder).query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a store has a schema")
    };
    age(&data);
    let other = "UPDATE snapshot_parts SET bytes = CAST(x'fe' || substr(bytes, 2) AS BLOB) WHERE part = 0";
    open(&data).execute(other, []).expect("a store can be changed");
    let refused = home.refusal();
    assert!(refused.contains("go on with the version that wrote it"), "{refused}");
    assert_eq!(schema(&data), 3, "the version that wrote it reads it still");
    store(&["migrate", "--data", text(&data)]).says(1, &["go on with the version that wrote it", "version 254"]);
    assert_eq!(schema(&data), 3);
    store(&["migrate", "--forget-windows", "--data", text(&data)])
        .says(0, &["forgotten: ", "schema 3 is schema 7 now"]);
    assert_eq!(schema(&saved(&data)), 3, "so does what was saved before anything was changed");
    assert!(home.start().await.terminate().await.success());
}

/// The backup that `migrate --forget-windows` leaves.
fn saved(data: &Path) -> std::path::PathBuf {
    let mut places = std::fs::read_dir(data).expect("the folder is there").map(|entry| entry.expect("it is").path());
    places.find(|path| text(path).contains("before-forgetting-")).expect("a backup was written")
}

/// Writes the store down as version 3 did: no count of what is kept, a text in each message, a file that does not shrink.
fn age(data: &Path) {
    let old = Connection::open(data.join("old.db")).expect("a store can be made");
    for step in [
        include_str!("../src/store/schema/1.sql"),
        include_str!("../src/store/schema/2.sql"),
        include_str!("../src/store/schema/3.sql"),
    ] {
        old.execute_batch(step).expect("version 3 can be made");
    }
    old.execute("ATTACH ?1 AS new", [text(&data.join("lapwing.db"))]).expect("the store is there");
    for table in ["meta", "positions", "seen", "journal", "dead_records", "archived"] {
        old.execute(&format!("INSERT INTO {table} SELECT * FROM new.{table}"), []).expect("they are the same in both");
    }
    // The ledgers begin with a part of their own.
    old.execute_batch(
        "INSERT INTO snapshot
             SELECT id, number, (bytes - books + 1048575) / 1048576, bytes - books FROM new.snapshot;
         INSERT INTO snapshot_parts SELECT * FROM new.snapshot_parts WHERE part < (SELECT parts FROM snapshot);
         INSERT INTO alerts (id, sequence, revision, time, severity, rule, state, superseded_by, received, updated, told,
                             ahead, body)
             SELECT id, sequence, revision, time, severity, rule, state, superseded_by, received, updated, told, ahead, body
             FROM new.alerts;
         INSERT INTO outbox (row, sink, lane, alert, revision, action, body, state, attempts, due, leased_until, answer,
                             created, updated, severity, head, tried)
             SELECT row, sink, lane, alert, revision, action, body, state, attempts, due, 0, answer, created, updated,
                    severity, head, tried
             FROM new.outbox JOIN new.revisions ON revisions.sequence = outbox.told;
         INSERT INTO revisions (sequence, alert, revision, action, body)
             SELECT sequence, alert, revision, action, body FROM new.revisions
             WHERE sequence > (SELECT value FROM meta WHERE name = 'routed');
         DETACH new; PRAGMA user_version = 3; PRAGMA auto_vacuum = NONE; VACUUM;",
    )
    .expect("the rest can be written as it was");
    drop(old);
    std::fs::rename(data.join("old.db"), data.join("lapwing.db")).expect("a file can be renamed");
}

#[tokio::test]
async fn windows_that_can_be_read_are_counted_before_they_are_forgotten() {
    let (home, _receiver) = settled().await;
    let keys = |words: &str| -> u64 {
        let (_, rest) = words.split_once("forgotten: ").expect("it says what is forgotten");
        rest.split(' ').next().and_then(|word| word.parse().ok()).expect("a number of keys")
    };
    let said = store(&["migrate", "--forget-windows", "--data", text(&home.path("data"))]);
    said.says(0, &["no snapshot and 0 journal entries"]);
    assert!(keys(&said.words) > 0, "{}", said.words);
}

#[tokio::test]
async fn a_store_of_an_older_schema_is_named_brought_up_to_date_and_goes_on() {
    let (home, receiver) = settled().await;
    let data = home.path("data");
    age(&data);
    open(&data).execute("UPDATE outbox SET state = 'queued' WHERE row = 1", []).expect("a store can be changed");
    let told = receiver.alerts().len();
    store(&["verify", "--data", text(&data)]).says(0, &["schema 3 is older than 7", "lapwing store migrate"]);
    store(&["backup", text(&home.path("older")), "--data", text(&data)])
        .says(0, &["older schema 3", "every page is sound"]);
    store(&["migrate", "--data", text(&data)]).says(0, &["schema 3 is schema 7 now", "it shrinks from now on", "OK: "]);
    store(&["migrate", "--data", text(&data)]).says(0, &["schema 7 is up to date", "OK: "]);
    let lapwing = home.start().await;
    store(&["migrate", "--data", text(&data)]).says(1, &["another Lapwing uses", "stop it"]);
    assert_eq!(lapwing.rows().await.len(), told, "no alert was lost on the way");
    lapwing.everybody_told(&receiver).await;
    assert_eq!(receiver.alerts().len(), told, "what waited was sent under its old id");
    assert!(lapwing.terminate().await.success());
    open(&data).execute_batch("PRAGMA user_version = 99").expect("a store can be changed");
    for command in ["verify", "migrate"] {
        store(&[command, "--data", text(&data)]).says(1, &["a newer Lapwing wrote schema 99", "use that version"]);
    }
}

/// Ages are wall time, so a year passes in the store, not in the test.
#[tokio::test]
async fn what_is_old_leaves_while_the_service_runs_and_what_is_queued_stays() {
    let (home, receiver) = settled().await;
    let data = home.path("data");
    let all = receiver.alerts().len() as i64;
    let year = 366_i64 * 86_400 * 1_000_000;
    let age = format!(
        "UPDATE alerts SET updated = updated - {year}; UPDATE outbox SET created = created - {year}, updated = updated - {year};
         UPDATE outbox SET state = 'queued', due = 0, sink = 'down' WHERE row = 1;"
    );
    open(&data).execute_batch(&age).expect("a store can be aged");
    let file = home.path("trail.jsonl");
    home.configure(&format!(
        "sources:\n  trail: {{kind: aws.cloudtrail, file: {{path: {}}}}}\nsinks:\n  soc: {}\n  down: {{webhook: {{url: \"http://127.0.0.1:9/\", secret: 0123456789abcdef0123456789abcdef}}}}",
        file.display(),
        receiver.sink()
    ));
    let lapwing = home.start().await;
    let left = async |what: &str| lapwing.metric(&format!("lapwing_retired_total{{what=\"{what}\"}}")).await as i64;
    // The one with a queued message and the newest stay.
    until("old alerts to leave", async || (left("alert").await >= all - 2).then_some(())).await;
    assert_eq!(lapwing.rows().await.len() as i64, all - left("alert").await);
    assert!(left("delivery").await > 0);
    let queued =
        "SELECT count(*) FROM outbox JOIN revisions ON revisions.sequence = outbox.told JOIN alerts ON alert = id
         WHERE outbox.state = 'queued'";
    let queued: i64 = open(&data).query_row(queued, [], |row| row.get(0)).expect("the store can be read");
    assert_eq!(queued, 1, "what waits for its sink stays, and so does its alert");
    lapwing.kill();
    store(&["verify", "--data", text(&data)]).says(0, &["OK: "]);
}

#[test]
fn the_help_of_each_command_says_what_it_does_to_the_folder_and_whether_the_service_may_run() {
    for (command, words) in [
        ("verify", "Writes nothing; the service may run"),
        ("backup", "The service may run and is not held up"),
        ("restore", "The service must be stopped"),
        ("migrate", "The service must be stopped"),
    ] {
        let output = Command::new(Lapwing::binary()).args(["store", command, "--help"]).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout).replace('\n', " ");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{command}: {said}");
        assert!(said.contains("--data <DIR>"), "{command}: {said}");
    }
    store(&["verify", "--config", "/nowhere/lapwing.yaml"])
        .says(1, &["find the data folder (`--data` names it directly)"]);
}
