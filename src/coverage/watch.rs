//! Where lists of accounts are read again: files each minute, organisations each hour.
//!
//! A list that cannot be read leaves what it said last in force; that of a first start that never was is waited for.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use connect::clock::Clock;
use engine::time::{Span, Timestamp};
use tokio_util::sync::CancellationToken;

use super::listing::{self, Account, Expected, ListingError};
use crate::config::{self, Expect};
use crate::feed::Trouble;
use crate::metrics::METRICS;

/// Files are read again after this.
const FILES: Span = Span::seconds(60);
/// Organisations are asked again after this …
#[cfg(feature = "aws")]
const ORGANISATIONS: Span = Span::seconds(3_600);

/// What the lists said last.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    expected: ArcSwapOption<Expected>,
    trouble: Mutex<Option<Trouble>>,
}

/// An entry of the configuration, and what its lists said last.
struct Entry {
    expect: Expect,
    /// What stands in the configuration itself.
    said: Vec<Account>,
    file: Option<Vec<Account>>,
    organisation: Option<Vec<Account>>,
    /// When the organisation is to be asked, and how often in a row it did not answer.
    due: (Timestamp, u32),
}

impl Listing {
    /// What is expected, as far as is known; the same as long as nothing changes.
    pub(crate) fn expected(&self) -> Option<Arc<Expected>> {
        self.expected.load_full()
    }

    /// What keeps a list from being read.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish(&self, entries: &[Entry]) -> Result<(), ListingError> {
        let expected = gathered(entries)?;
        if self.expected().is_none_or(|known| *known != expected) {
            let (expecting, whole) = (expected.spots.len(), expected.is_whole);
            tracing::info!(expecting, whole, "what should arrive is known");
            self.expected.store(Some(Arc::new(expected)));
        }
        Ok(())
    }

    fn report(&self, error: Option<&connect::source::SourceError>, now: Timestamp) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        *trouble = error.map(|error| Trouble::after(trouble.take(), error, now));
        if let Some(trouble) = &*trouble {
            METRICS.coverage_list_errors.inc();
            tracing::warn!(error = trouble.words, "list of accounts not read: the last one stays in force");
        }
    }
}

impl Entry {
    fn new(expect: &Expect) -> Self {
        let said = expect.accounts.iter().map(|name| Account { account: name.clone(), ..Account::default() });
        let said = said.collect();
        Self { expect: expect.clone(), said, file: None, organisation: None, due: (Timestamp::EARLIEST, 0) }
    }

    fn is_whole(&self) -> bool {
        (self.expect.file.is_none() || self.file.is_some()) && (!self.expect.asks() || self.organisation.is_some())
    }

    fn read(&mut self) -> Result<(), ListingError> {
        if let Some(path) = &self.expect.file {
            self.file = Some(listing::read(path)?);
        }
        Ok(())
    }

    /// Asks the organisation, if it is time to.
    #[cfg(feature = "aws")]
    async fn ask(&mut self, now: Timestamp) -> Result<(), connect::source::SourceError> {
        if let Some(settings) = self.expect.organization.as_ref().filter(|_| now >= self.due.0) {
            let asked = connect::accounts::active(settings).await;
            let failures = if asked.is_ok() { 0 } else { self.due.1 + 1 };
            // After a failure in 1, 2, 4 … minutes.
            let wait = FILES.micros() << failures.saturating_sub(1).min(6);
            let wait = if failures == 0 { ORGANISATIONS } else { Span::from_micros(wait).min(ORGANISATIONS) };
            self.due = (now.plus(wait), failures);
            let of = |account: connect::accounts::Account| Account {
                account: account.id,
                name: account.name,
                ..Account::default()
            };
            self.organisation = Some(asked?.into_iter().map(of).collect());
        }
        Ok(())
    }

    /// There is nobody to ask.
    #[cfg(not(feature = "aws"))]
    async fn ask(&mut self, _: Timestamp) -> Result<(), connect::source::SourceError> {
        Ok(())
    }
}

/// Everything that the entries say, as far as it is known.
fn gathered(entries: &[Entry]) -> Result<Expected, ListingError> {
    let mut expected = Expected { is_whole: entries.iter().all(Entry::is_whole), ..Expected::default() };
    for entry in entries {
        for accounts in std::iter::once(&entry.said).chain(&entry.file).chain(&entry.organisation) {
            expected.add(&entry.expect, accounts)?;
        }
    }
    Ok(expected)
}

/// Watches the lists until told to stop.
pub(crate) struct Watch {
    entries: Vec<Entry>,
    listing: Arc<Listing>,
    clock: Clock,
}

/// Reads what can be read at once.
///
/// # Errors
/// When a file cannot be read, or is none of accounts.
pub(crate) fn watch(settings: &config::Coverage, clock: Clock) -> Result<(Arc<Listing>, Watch), ListingError> {
    let mut entries: Vec<Entry> = settings.expect.iter().map(Entry::new).collect();
    entries.iter_mut().try_for_each(Entry::read)?;
    let listing = Arc::new(Listing::default());
    listing.publish(&entries)?;
    Ok((listing.clone(), Watch { entries, listing, clock }))
}

/// Whether the files can be read, and what they say makes sense. Organisations are not asked.
///
/// # Errors
/// When it does not.
pub(crate) fn check(settings: &config::Coverage) -> Result<(), ListingError> {
    let mut entries: Vec<Entry> = settings.expect.iter().map(Entry::new).collect();
    entries.iter_mut().try_for_each(Entry::read)?;
    gathered(&entries).map(drop)
}

impl Watch {
    /// Reads the lists again and again.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let now = self.clock.now();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.look(now) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep_until(now.plus(FILES)) => {}
            }
        }
    }

    async fn look(&mut self, now: Timestamp) {
        let (mut failed, mut waits) = (None, false);
        for entry in &mut self.entries {
            if let Err(error) = entry.read() {
                failed = Some(person(error));
            }
            match entry.ask(now).await {
                Ok(()) => waits |= entry.due.1 > 0,
                Err(error) => failed = Some(error),
            }
        }
        if let Err(error) = self.listing.publish(&self.entries) {
            failed = Some(person(error));
        }
        // One that failed and is not asked again yet: what was said of it holds.
        if failed.is_some() || !waits {
            self.listing.report(failed.as_ref(), now);
        }
    }
}

/// Only a person can mend a file.
fn person(error: ListingError) -> connect::source::SourceError {
    let doing = "read what should arrive".to_owned();
    connect::source::SourceError { doing, remedy: connect::source::Remedy::Person, source: Some(Box::new(error)) }
}

#[cfg(test)]
mod tests {
    use connect::clock::Hand;

    use super::*;

    #[tokio::test]
    async fn a_file_is_read_again_and_a_broken_one_leaves_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.csv");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let expect =
            Expect { kinds: vec![engine::event::Kind::AwsCloudtrail], file: Some(path.clone()), ..Expect::default() };
        let settings = config::Coverage { expect: vec![expect], ..config::Coverage::default() };
        let clock = Clock::Hand(Hand::at(Timestamp::default()));
        assert!(watch(&settings, clock.clone()).is_err(), "it is not there");
        write("account\n1\n2\n");
        let (listing, mut watch) = watch(&settings, clock).unwrap();
        let known = || listing.expected().unwrap();
        let first = known();
        assert_eq!((first.spots.len(), first.is_whole), (2, true));
        watch.look(Timestamp::default()).await;
        assert!(Arc::ptr_eq(&first, &known()), "nothing changed");
        write("account\n1\n2\n3\n");
        watch.look(Timestamp::default()).await;
        assert_eq!(known().spots.len(), 3);
        write("acount\n1\n");
        for _ in 0..2 {
            watch.look(Timestamp::default()).await;
        }
        let trouble = listing.trouble().unwrap();
        assert!(trouble.words.contains("unknown column") && trouble.is_for_people(Timestamp::default()), "{trouble:?}");
        assert_eq!(known().spots.len(), 3);
        write("account\n1\n");
        watch.look(Timestamp::default()).await;
        assert_eq!((known().spots.len(), listing.trouble()), (1, None));
    }
}
