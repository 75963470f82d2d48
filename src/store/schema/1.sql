CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- How far each source has been handled, in the source's own words.
CREATE TABLE positions (
    source TEXT NOT NULL, partition TEXT NOT NULL, position TEXT NOT NULL,
    PRIMARY KEY (source, partition)
) WITHOUT ROWID;

-- Hashes of event ids that were counted, packed 8 bytes each, one row a commit.
CREATE TABLE seen (number INTEGER PRIMARY KEY, ids BLOB NOT NULL);

-- What the windows took in since the snapshot, one row a commit.
CREATE TABLE journal (number INTEGER PRIMARY KEY, sightings BLOB NOT NULL);
CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, state BLOB NOT NULL);

-- Alerts as they stand; `sequence` grows with every change of any alert.
CREATE TABLE alerts (
    id TEXT PRIMARY KEY, sequence INTEGER NOT NULL UNIQUE, revision INTEGER NOT NULL,
    time INTEGER NOT NULL, severity INTEGER NOT NULL, rule TEXT NOT NULL,
    state TEXT NOT NULL, superseded_by TEXT, body TEXT NOT NULL,
    received INTEGER NOT NULL, updated INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX alerts_by_time ON alerts (time, id);

-- What people are to be told, in order; the router reads it by cursor.
CREATE TABLE revisions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, alert TEXT NOT NULL, revision INTEGER NOT NULL,
    action TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (alert, revision, action)
);

CREATE TABLE outbox (
    row INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, lane TEXT NOT NULL,
    alert TEXT NOT NULL, revision INTEGER NOT NULL, action TEXT NOT NULL, body TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, due INTEGER NOT NULL, leased_until INTEGER NOT NULL,
    answer TEXT, created INTEGER NOT NULL, updated INTEGER NOT NULL,
    UNIQUE (sink, alert, revision, action)
);
CREATE INDEX outbox_queue ON outbox (sink, row) WHERE state = 'queued';
CREATE INDEX outbox_lanes ON outbox (sink, lane) WHERE state = 'queued';
CREATE INDEX outbox_by_alert ON outbox (alert);

-- Records that could not be read, capped.
CREATE TABLE dead_records (
    row INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, position TEXT NOT NULL,
    reason TEXT NOT NULL, detail TEXT NOT NULL, head BLOB NOT NULL, at INTEGER NOT NULL
);

-- Where the archive keeps an event.
CREATE TABLE archived (
    id TEXT NOT NULL, origin TEXT NOT NULL, time INTEGER NOT NULL,
    segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, line INTEGER NOT NULL,
    PRIMARY KEY (id, origin)
) WITHOUT ROWID;
CREATE INDEX archived_by_segment ON archived (segment);
