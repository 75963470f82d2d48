use super::*;
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
