//! Which sources may be pushed to: a list that a reload changes while requests are served.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Inlet;

/// The inlets of the sources that run, by the names of these.
#[derive(Debug, Default)]
pub struct Inlets {
    list: RwLock<BTreeMap<String, Arc<Inlet>>>,
}

impl Inlets {
    /// These inlets.
    pub fn of(inlets: impl IntoIterator<Item = Inlet>) -> Arc<Self> {
        let all = Self::default();
        inlets.into_iter().for_each(|inlet| all.enter(inlet));
        Arc::new(all)
    }

    /// From now on requests for its source go through it; it takes the place of one of the same name.
    pub fn enter(&self, inlet: Inlet) {
        self.write().insert(inlet.name.clone(), Arc::new(inlet));
    }

    /// From now on there is no such source. Requests that were let in are answered by their source.
    pub fn leave(&self, name: &str) {
        self.write().remove(name);
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Inlet>> {
        self.read().get(name).cloned()
    }

    /// All, in the order of their names.
    pub(super) fn all(&self) -> Vec<Arc<Inlet>> {
        self.read().values().cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Inlet>>> {
        // A panic elsewhere leaves the map whole.
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Inlet>>> {
        self.list.write().unwrap_or_else(PoisonError::into_inner)
    }
}
