-- What workers noted of credentials and deploys since the last snapshot; and how many bytes at its end are their ledgers.
CREATE TABLE notes (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
ALTER TABLE snapshot ADD COLUMN books INTEGER NOT NULL DEFAULT 0;

-- The last that was made of each deploy.
CREATE TABLE deploys (
    id TEXT PRIMARY KEY, revision INTEGER NOT NULL, time INTEGER NOT NULL, verdict TEXT NOT NULL,
    environment TEXT NOT NULL, target TEXT NOT NULL, updated INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE INDEX deploys_by_time ON deploys (time, id);
