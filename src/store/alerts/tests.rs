use engine::event::{Kind, Uid};
use engine::time::Span;

use super::*;
use crate::archive::Archived;
use crate::sample;
use crate::store::{Commit, Store};

fn store(records: &[String]) -> (Store, Reader, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.commit(&Commit { number: 1, changes: sample::changes(records), ..Commit::default() }).unwrap();
    let reader = store.reader().unwrap();
    (store, reader, folder)
}

#[test]
fn an_alert_that_cannot_be_read_is_left_out_of_lists_and_pages_go_on() {
    let (store, reader, _folder) = store(&(0..3).map(sample::stop_logging).collect::<Vec<_>>());
    store.writer().execute("UPDATE alerts SET body = '{' WHERE body LIKE '%StopLogging-1%'", []).unwrap();
    let (mut query, mut seen) = (Query { limit: 1, ..Query::default() }, Vec::new());
    loop {
        let page = reader.alerts(&query).unwrap();
        seen.extend(page.rows.into_iter().map(|row| row.alert.event_ids[0].clone()));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["StopLogging-2", "StopLogging-0"]);
    assert_eq!(reader.changed_since(0, 10).unwrap().len(), 2);
}

#[test]
fn evidence_is_of_the_alerts_own_kind_and_time_even_if_another_event_has_its_id() {
    let (store, reader, _folder) = store(&[sample::stop_logging(0)]);
    let alert = sample::changes(&[sample::stop_logging(0)]).remove(0).alert;
    let archived = |kind, origin: &str, time, segment| Archived {
        kind,
        uid: Uid { origin: origin.to_owned(), id: alert.event_ids[0].clone() },
        time,
        place: Place { segment, offset: 0, length: 0, line: 0 },
    };
    let hour_ago = alert.time.minus(Span::seconds(3_600));
    let events = vec![
        archived(Kind::GithubAudit, "", alert.time, 1),
        archived(Kind::AwsCloudtrail, "444455556666", hour_ago, 2),
        archived(Kind::AwsCloudtrail, "999900001111", alert.time, 3),
    ];
    store.commit(&Commit { number: 2, archived: events, ..Commit::default() }).unwrap();
    let (_, place) = reader.archived(&alert, &alert.event_ids[0]).unwrap().unwrap();
    assert_eq!(place.segment, 3);
}
