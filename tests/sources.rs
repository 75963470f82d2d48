//! Sources while the service runs: they come, go and change by the configuration, and one that fails says so.

mod harness;

use std::io::Write;

use harness::{Home, Lapwing, stopped, until};

/// Writes the configuration and waits until it was followed.
async fn follows(home: &Home, lapwing: &Lapwing, text: &str) {
    let reloads = async || lapwing.metric("lapwing_config_reloads_total{outcome=\"ok\"}").await;
    let before = reloads().await;
    home.configure(text);
    lapwing.signal("HUP");
    until("the configuration to be followed", async || (reloads().await > before).then_some(())).await;
}

/// The answer to an event that is pushed to this source.
async fn status(lapwing: &Lapwing, source: &str, id: &str, token: &str) -> u16 {
    let request = lapwing.client().post(lapwing.url(&format!("/v1/events/{source}")));
    let sent = request.bearer_auth(token).body(stopped(id, "ana")).send().await;
    sent.expect("the service answers").status().as_u16()
}

/// Waits until it answers so.
async fn answers(lapwing: &Lapwing, source: &str, id: &str, token: &str, wanted: u16) {
    let answered = async || (status(lapwing, source, id, token).await == wanted).then_some(());
    until(&format!("{source} to answer {wanted}"), answered).await;
}

#[tokio::test]
async fn sources_come_and_go_by_the_configuration_and_the_others_do_not_notice() {
    let home = Home::new();
    let stays = "sources:\n  stays: {kind: auto, http: {}}\n";
    home.configure(stays);
    let lapwing = home.start().await;
    let (client, url) = (lapwing.client().clone(), lapwing.url("/v1/events/stays"));
    let (stop, mut stopping) = tokio::sync::oneshot::channel::<()>();
    let pushing = tokio::spawn(async move {
        let mut sent = 0;
        while stopping.try_recv().is_err() {
            let answer = client.post(&url).body(stopped(&format!("stays-{sent}"), "bo")).send().await;
            assert_eq!(answer.expect("the service answers").status(), 200, "event {sent}");
            sent += 1;
        }
        sent
    });
    for round in 0..3 {
        follows(&home, &lapwing, &format!("{stays}  comes: {{kind: auto, http: {{token: {round}-open-sesame}}}}\n"))
            .await;
        answers(&lapwing, "comes", &format!("comes-{round}"), &format!("{round}-open-sesame"), 200).await;
        assert_eq!(status(&lapwing, "comes", "other", "another").await, 401);
        follows(&home, &lapwing, stays).await;
        answers(&lapwing, "comes", "late", "open-sesame", 404).await;
    }
    stop.send(()).expect("it pushes still");
    let sent: usize = pushing.await.expect("no push fails");
    lapwing.has_alerts(sent + 3).await;
    let names: Vec<_> = lapwing.status().await["sources"].as_array().expect("a list").clone();
    assert_eq!(names.iter().map(|source| source["name"].clone()).collect::<Vec<_>>(), ["stays"]);
    assert!(lapwing.terminate().await.success());
}

#[tokio::test]
async fn a_file_that_is_dropped_and_taken_up_again_goes_on_where_it_was() {
    let home = Home::new();
    let path = home.path("audit.log");
    let append = |ids: std::ops::Range<u32>| {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).expect("it can be opened");
        ids.for_each(|id| writeln!(file, "{}", stopped(&format!("f-{id}"), "ana").replace('\n', "")).expect("written"));
    };
    let with = format!("sources:\n  log: {{kind: auto, file: {{path: [{}], poll: 10ms}}}}\n", path.display());
    append(0..20);
    home.configure(&with);
    let lapwing = home.start().await;
    lapwing.has_alerts(20).await;
    follows(&home, &lapwing, "sources: {}\n").await;
    until("the source to be gone", async || {
        lapwing.status().await["sources"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
    append(20..30);
    // Another setting makes it another source with the same place in the log.
    follows(&home, &lapwing, &with.replace("10ms", "20ms")).await;
    lapwing.has_alerts(30).await;
    follows(&home, &lapwing, &with).await;
    append(30..31);
    lapwing.has_alerts(31).await;
    assert_eq!(lapwing.metric("lapwing_events_total{source=\"log\"}").await, 31.0, "none was read twice");
}

#[tokio::test]
async fn a_configuration_that_is_broken_is_refused_as_a_whole_and_the_old_one_stays() {
    let home = Home::new();
    home.configure("sources: {push: {kind: auto, http: {}}}\n");
    let lapwing = home.start().await;
    let refused = async || lapwing.metric("lapwing_config_reloads_total{outcome=\"refused\"}").await;
    let before = refused().await;
    std::fs::write(home.path("lapwing.yaml"), "").expect("it can be written");
    until("the refusal", async || (refused().await > before).then_some(())).await;
    let before = refused().await;
    home.configure("sources: {other: {kind: auto, http: {}}, worse: {kind: auto}}\n");
    until("the refusal", async || (refused().await > before).then_some(())).await;
    until("the log to say so", async || lapwing.log_has("new configuration refused, the old one stays").then_some(()))
        .await;
    assert_eq!(status(&lapwing, "push", "1", "").await, 200);
    assert_eq!(status(&lapwing, "other", "1", "").await, 404);
}

#[tokio::test]
async fn a_new_secret_is_taken_up_and_a_source_that_lacks_its_own_fails_loudly_until_it_is_there() {
    let home = Home::new();
    let secret = home.path("token");
    std::fs::write(&secret, "first").expect("it can be written");
    let config = format!("sources:\n  push: {{kind: auto, http: {{token: {{file: {}}}}}}}\n", secret.display());
    home.configure(&config);
    let lapwing = home.start().await;
    assert_eq!(status(&lapwing, "push", "1", "first").await, 200);
    std::fs::write(&secret, "second").expect("it can be written");
    follows(&home, &lapwing, &config).await;
    answers(&lapwing, "push", "2", "second", 200).await;
    assert_eq!(status(&lapwing, "push", "3", "first").await, 401);

    std::fs::remove_file(&secret).expect("it can be removed");
    follows(&home, &lapwing, &config).await;
    until("people to be told", async || {
        let rows = lapwing.rows().await;
        rows.iter().any(|row| row["rule"] == "lapwing-source-failing").then_some(())
    })
    .await;
    let ready = lapwing.hear("/ready").await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\nsource push fails: see /api/v1/status\n"));
    assert_eq!(lapwing.metric("lapwing_source_up{source=\"push\"}").await, 0.0);
    let source = lapwing.status().await["sources"][0].clone();
    assert!(source["error"].as_str().is_some_and(|words| words.contains("read secret file")), "{source}");

    std::fs::write(&secret, "third").expect("it can be written");
    follows(&home, &lapwing, &config).await;
    answers(&lapwing, "push", "4", "third", 200).await;
    assert_eq!(lapwing.hear("/ready").await.body, "ready\n");
}

#[tokio::test]
async fn a_source_that_was_pushed_to_and_is_a_file_now_takes_no_more_requests() {
    let home = Home::new();
    home.configure("sources:\n  log: {kind: auto, http: {}}\n");
    let lapwing = home.start().await;
    assert_eq!(status(&lapwing, "log", "1", "none").await, 200);
    let path = home.path("audit.log");
    std::fs::write(&path, "").expect("it can be written");
    follows(&home, &lapwing, &format!("sources:\n  log: {{kind: auto, file: {{path: {}}}}}\n", path.display())).await;
    answers(&lapwing, "log", "2", "none", 404).await;
}

#[tokio::test]
async fn an_event_that_comes_bare_and_in_the_envelope_of_another_kind_is_counted_once() {
    let home = Home::new();
    let bare = stopped("both", "ana");
    let envelope = r#"{"id":"e","detail-type":"AWS API Call via CloudTrail","source":"aws.cloudtrail","time":"2026-11-20T09:15:00Z""#;
    std::fs::write(home.path("bare.log"), format!("{bare}\n")).expect("it can be written");
    std::fs::write(home.path("bus.log"), format!("{envelope},\"detail\":{bare}}}\n")).expect("it can be written");
    let file = |kind: &str, name: &str| format!("{{kind: {kind}, file: {{path: {}}}}}", home.path(name).display());
    let (trail, bus) = (file("aws.cloudtrail", "bare.log"), file("aws.eventbridge", "bus.log"));
    home.configure(&format!("sources:\n  trail: {trail}\n  bus: {bus}\n"));
    let lapwing = home.start().await;
    until("both to be read", async || {
        let metric = async |name: &str| {
            let of = async |source: &str| lapwing.metric(&format!("{name}{{source=\"{source}\"}}")).await;
            of("trail").await + of("bus").await
        };
        let matched = metric("lapwing_events_matched_total").await;
        (matched == 2.0 && metric("lapwing_events_duplicate_total").await == 1.0).then_some(())
    })
    .await;
}
