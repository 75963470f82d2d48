use connect::clock::Hand;
use connect::sink::memory::Attempt;
use connect::sink::{Memory, Reply};

use super::*;
use crate::sample;
use crate::store::Commit;

/// An outbox that holds messages for one sink in memory, under a clock that moves when somebody waits.
struct Post {
    store: Arc<Store>,
    sink: Memory,
    hand: Hand,
    folder: tempfile::TempDir,
}

fn post(records: &[String]) -> Post {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    store.commit(&Commit { number: 1, changes: sample::changes(records), ..Commit::default() }).unwrap();
    let moved = store.route(100, Timestamp::default(), |alert| vec![("soc", crate::route::lane(alert))]).unwrap();
    assert!(moved > 0);
    Post { store, sink: Memory::default(), hand: Hand::at(Timestamp::default()), folder }
}

fn delivery(sink: &Memory) -> Delivery {
    Delivery {
        name: "soc".to_owned(),
        sink: Sink::Memory(sink.clone()),
        public_url: Some("https://lapwing.example.org/".to_owned()),
        news: Arc::new(Notify::new()),
        mood: Arc::new(tokio::sync::watch::Sender::new(Mood::default())),
    }
}

impl Post {
    /// Delivers until nothing waits any more.
    async fn empty(&self) -> Vec<Attempt> {
        let stop = CancellationToken::new();
        let delivery = delivery(&self.sink);
        let running = tokio::spawn(run(delivery, self.store.clone(), Clock::Hand(self.hand.clone()), stop.clone()));
        while self.store.reader().unwrap().queue("soc").unwrap().rows > 0 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        running.await.unwrap();
        self.sink.attempts()
    }
}

fn reply(status: u16) -> Reply {
    Reply { status: Some(status), text: String::new() }
}

fn retry(status: u16, after: Option<u64>) -> Answer {
    Answer::Retry { after: after.map(Duration::from_secs), reply: reply(status) }
}

fn seconds(moment: Timestamp) -> f64 {
    moment.micros() as f64 / 1e6
}

#[tokio::test]
async fn an_outage_then_500_then_429_delays_everything_and_loses_nothing() {
    let records: Vec<String> = (0..5).map(sample::stop_logging).collect();
    let post = post(&records);
    // One attempt a lane at a time: all five are about one actor and one rule.
    for _ in 0..6 {
        post.sink.will_answer(Answer::Retry { after: None, reply: Reply::default() });
    }
    post.sink.will_answer(retry(500, None));
    post.sink.will_answer(retry(429, Some(3)));
    let attempts = post.empty().await;

    let delivered: Vec<String> =
        post.sink.delivered().into_iter().map(|message| message.alert.event_ids[0].clone()).collect();
    assert_eq!(delivered, ["StopLogging-0", "StopLogging-1", "StopLogging-2", "StopLogging-3", "StopLogging-4"]);
    let asked = attempts.iter().position(|attempt| attempt.answer == retry(429, Some(3))).unwrap();
    let waited = seconds(attempts[asked + 1].at) - seconds(attempts[asked].at);
    assert!((3.0..63.0).contains(&waited), "waited {waited} s after Retry-After: 3");
}

#[tokio::test]
async fn every_attempt_carries_the_same_id_and_a_link() {
    let post = post(&[sample::stop_logging(0)]);
    post.sink.will_answer(retry(503, None));
    let attempts = post.empty().await;
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].message.id, attempts[1].message.id);
    let id = &attempts[0].message.alert.id.0;
    assert_eq!(attempts[0].message.link, Some(format!("https://lapwing.example.org/#/alerts/{id}")));
}

#[tokio::test]
async fn a_message_that_is_refused_becomes_a_dead_letter_and_holds_up_nobody() {
    let post = post(&[sample::stop_logging(0), sample::stop_logging(1)]);
    post.sink.will_answer(Answer::Refused(reply(400)));
    let attempts = post.empty().await;
    assert_eq!(attempts.len(), 2);
    assert_eq!(post.store.reader().unwrap().queue("soc").unwrap().dead, 1);
    assert_eq!(post.sink.delivered().len(), 1);
}

#[tokio::test]
async fn a_sink_that_a_person_must_mend_keeps_its_queue_and_is_tried_seldom() {
    let post = post(&[sample::stop_logging(0)]);
    for _ in 0..4 {
        post.sink.will_answer(Answer::Misconfigured(reply(404)));
    }
    let attempts = post.empty().await;
    let waits: Vec<f64> = attempts.windows(2).map(|pair| seconds(pair[1].at) - seconds(pair[0].at)).collect();
    assert!(waits.iter().all(|wait| *wait >= PAUSE.0.as_secs_f64()), "{waits:?}");
    assert_eq!(post.store.reader().unwrap().queue("soc").unwrap().dead, 0);
    assert_eq!(post.sink.delivered().len(), 1);
}

/// What becomes of a message that was first tried at zero, if at all, so many hours later.
fn verdict(tried: bool, answer: &Answer, hours: u32) -> Verdict {
    let tried = tried.then_some(Timestamp::default());
    decide(
        &Ticket { row: 1, attempts: 9, tried },
        answer,
        9,
        Timestamp::default().plus(Span::seconds(hours * 3_600)),
        0.5,
    )
    .verdict
}

#[test]
fn a_message_is_given_up_three_days_after_its_first_attempt() {
    assert!(matches!(verdict(true, &retry(500, None), 72), Verdict::Again(_)));
    assert_eq!(verdict(true, &retry(500, None), 73), Verdict::Dead);
    assert!(matches!(verdict(false, &retry(500, None), 1_000), Verdict::Again(_)), "we were down, not the sink");
}

#[test]
fn a_sink_that_a_person_must_mend_never_ages_its_messages() {
    assert_eq!(verdict(true, &Answer::Misconfigured(reply(403)), 1_000), Verdict::Kept);
    assert_eq!(verdict(true, &Answer::Gone(reply(410)), 1_000), Verdict::Kept);
}

#[tokio::test]
async fn growth_is_told_after_the_beginning() {
    let records: Vec<String> = (0..4).map(|n| sample::read_secret(n, n)).collect();
    let post = post(&records);
    post.empty().await;
    let told: Vec<(u64, u64)> = post.sink.delivered().iter().map(|m| (m.revision, m.alert.events_total)).collect();
    assert_eq!(told, [(1, 2), (2, 4)]);
}

#[tokio::test]
async fn a_severe_message_that_fails_each_time_does_not_keep_others_from_their_turn() {
    let records = [sample::stop_logging(0), sample::read_secret(0, 0), sample::read_secret(1, 1)];
    let post = post(&records);
    post.sink.will_answer(retry(500, None));
    let told: Vec<String> =
        post.empty().await.into_iter().map(|attempt| attempt.message.alert.event_ids[0].clone()).collect();
    assert_eq!(told, ["StopLogging-0", "GetSecretValue-0", "StopLogging-0"]);
}

#[test]
fn failures_are_counted_by_batch_and_one_success_ends_them() {
    let delivery = delivery(&Memory::default());
    let feel = |moods: &[Mood], failures| {
        let failures = delivery.feel(moods.iter().map(|mood| (*mood, String::new())).collect(), failures);
        (failures, *delivery.mood.borrow())
    };
    assert_eq!(feel(&[Mood::Paused; 8], 0), (1, Mood::Paused));
    assert_eq!(feel(&[Mood::Retrying, Mood::Paused], 1), (2, Mood::Paused));
    assert_eq!(feel(&[Mood::Retrying, Mood::Works, Mood::Paused], 2), (0, Mood::Works));
}

#[tokio::test]
async fn a_batch_that_a_sink_refuses_as_a_whole_pauses_it_for_half_a_minute_at_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let records: Vec<String> = (0..8).map(sample::stop_logging).collect();
    store.commit(&Commit { number: 1, changes: sample::changes(&records), ..Commit::default() }).unwrap();
    store.route(100, Timestamp::default(), |alert| vec![("soc", alert.id.0.clone())]).unwrap();
    let hand = store.hand("soc", 8, Order::Severity, Timestamp::default()).unwrap();
    assert_eq!(hand.messages.len(), 8);
    let mut rounds = Rounds::new(Pace { lanes: 8, hand: 8, gap: Duration::ZERO });
    let sink = Memory::default();
    (0..8).for_each(|_| sink.will_answer(Answer::Misconfigured(reply(403))));
    let delivery = Arc::new(delivery(&sink));
    let clock = Clock::Hand(Hand::at(Timestamp::default()));
    assert_eq!(send(&delivery, hand, &mut rounds, &clock).await.hold, Some(PAUSE.0));
    assert_eq!(rounds.failures, 1);
}

#[tokio::test]
async fn after_a_failure_nothing_more_is_begun_and_what_was_not_sent_waits_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let records: Vec<String> = (0..8).map(sample::stop_logging).collect();
    store.commit(&Commit { number: 1, changes: sample::changes(&records), ..Commit::default() }).unwrap();
    store.route(100, Timestamp::default(), |alert| vec![("soc", alert.id.0.clone())]).unwrap();
    let sink = Memory::default();
    (0..2).for_each(|_| sink.will_answer(Answer::Misconfigured(reply(403))));
    let delivery = Arc::new(delivery(&sink));
    let clock = Clock::Hand(Hand::at(Timestamp::default()));
    let mut rounds = Rounds::new(Pace { lanes: 2, hand: 8, gap: Duration::ZERO });
    let take = || store.hand("soc", 8, Order::Severity, Timestamp::default()).unwrap();
    let hand = take();
    assert_eq!(hand.messages.len(), 8);
    let outcome = send(&delivery, hand, &mut rounds, &clock).await;
    assert_eq!((outcome.hold, outcome.settled.len()), (Some(PAUSE.0), 2));
    assert_eq!((sink.attempts().len(), rounds.hand()), (2, 2));
    note(&delivery, &store, outcome, &clock, &CancellationToken::new()).await;
    let again = take();
    let attempts: u32 = again.messages.iter().map(|message| message.ticket.attempts).sum();
    assert_eq!(attempts, 2, "six were never tried");

    let mut rounds = Rounds::new(Pace { lanes: 2, hand: 8, gap: Duration::ZERO });
    assert_eq!(send(&delivery, again, &mut rounds, &clock).await.hold, None);
    assert_eq!(sink.attempts().len(), 10, "all eight, two at a time");
}

#[tokio::test]
async fn what_came_of_messages_is_written_until_it_is_on_disk_before_more_are_taken() {
    let post = post(&[sample::stop_logging(0)]);
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON outbox BEGIN SELECT RAISE(ABORT, 'no room'); END";
    let folder = post.folder.path().join("lapwing.db");
    let by_hand = |sql: &str| rusqlite::Connection::open(&folder).unwrap().execute_batch(sql).unwrap();
    by_hand(refuse);
    let (stop, clock) = (CancellationToken::new(), Clock::Hand(post.hand.clone()));
    let running = tokio::spawn(run(delivery(&post.sink), post.store.clone(), clock.clone(), stop.clone()));
    while seconds(clock.now()) < 10.0 {
        tokio::task::yield_now().await;
    }
    by_hand("DROP TRIGGER refuse");
    while post.store.reader().unwrap().queue("soc").unwrap().rows > 0 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    running.await.unwrap();
    assert_eq!(post.sink.attempts().len(), 1, "sent once, noted at the tenth attempt or so");
}
