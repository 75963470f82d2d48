-- A text is written once, whoever is told it: `revisions` keeps it for as long as a message refers to it. A message is a
-- small row, as it changes with every attempt.
DROP TRIGGER outbox_joins;
DROP TRIGGER outbox_leaves;
DROP TRIGGER outbox_returns;
DROP TRIGGER outbox_redriven;
DROP TRIGGER messages_come;
DROP TRIGGER messages_leave;
DROP TRIGGER alerts_come;
DROP TRIGGER alerts_grow;
DROP TRIGGER alerts_leave;

ALTER TABLE revisions RENAME TO revisions_to_route;
CREATE TABLE revisions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, alert TEXT NOT NULL, revision INTEGER NOT NULL,
    action TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (alert, revision, action)
);
INSERT INTO revisions (alert, revision, action, body)
    SELECT alert, revision, action, body FROM outbox GROUP BY alert, revision, action ORDER BY min(row);
INSERT OR REPLACE INTO meta SELECT 'routed', ifnull(max(sequence), 0) FROM revisions;
INSERT OR IGNORE INTO revisions (alert, revision, action, body)
    SELECT alert, revision, action, body FROM revisions_to_route ORDER BY sequence;
DROP TABLE revisions_to_route;

-- Nobody but the task of a sink takes its messages, so none is leased.
ALTER TABLE outbox RENAME TO outbox_with_text;
CREATE TABLE outbox (
    row INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, lane TEXT NOT NULL,
    told INTEGER NOT NULL, -- the revision's sequence
    severity INTEGER NOT NULL, state TEXT NOT NULL, head INTEGER NOT NULL, attempts INTEGER NOT NULL,
    tried INTEGER NOT NULL, due INTEGER NOT NULL, answer TEXT, created INTEGER NOT NULL, updated INTEGER NOT NULL,
    UNIQUE (told, sink)
);
INSERT INTO outbox SELECT row, sink, lane, sequence, severity, state, head, attempts, tried, due, answer, created, updated
    FROM outbox_with_text JOIN revisions USING (alert, revision, action) ORDER BY row;
DROP TABLE outbox_with_text;
CREATE INDEX outbox_queue ON outbox (sink, row) WHERE state = 'queued';
CREATE INDEX outbox_lanes ON outbox (sink, lane, row) WHERE state = 'queued';
CREATE INDEX outbox_by_severity ON outbox (sink, severity DESC, row, due) WHERE head = 1;
CREATE INDEX outbox_by_due ON outbox (sink, due, row) WHERE head = 1;
CREATE INDEX outbox_dead ON outbox (sink) WHERE state = 'dead';

-- Whoever writes a message says whether it is the head of its lane; from then on triggers do.
CREATE TRIGGER outbox_leaves AFTER UPDATE OF state ON outbox WHEN OLD.state = 'queued' AND NEW.state <> 'queued'
BEGIN
    UPDATE outbox SET head = 0 WHERE row = NEW.row;
    UPDATE outbox SET head = 1 WHERE row = (
        SELECT min(row) FROM outbox WHERE sink = NEW.sink AND lane = NEW.lane AND state = 'queued');
END;
CREATE TRIGGER outbox_returns AFTER UPDATE OF state ON outbox
WHEN OLD.state <> 'queued' AND NEW.state = 'queued' AND NOT EXISTS (
    SELECT 1 FROM outbox WHERE sink = NEW.sink AND lane = NEW.lane AND state = 'queued' AND row < NEW.row
) BEGIN
    UPDATE outbox SET head = 0 WHERE row = (
        SELECT min(row) FROM outbox
        WHERE sink = NEW.sink AND lane = NEW.lane AND state = 'queued' AND row > NEW.row);
    UPDATE outbox SET head = 1 WHERE row = NEW.row;
END;
CREATE TRIGGER outbox_redriven AFTER UPDATE OF state ON outbox
WHEN OLD.state <> 'queued' AND NEW.state = 'queued' BEGIN
    UPDATE outbox SET attempts = 0, tried = 0 WHERE row = NEW.row;
END;
CREATE TRIGGER outbox_forgets AFTER DELETE ON outbox
WHEN NOT EXISTS (SELECT 1 FROM outbox WHERE told = OLD.told) BEGIN
    DELETE FROM revisions WHERE sequence = OLD.told;
END;

-- Alerts lie in the order in which they came, not in that of their ids, where each touched pages of its own.
ALTER TABLE alerts RENAME TO alerts_by_id;
DROP INDEX alerts_by_time;
CREATE TABLE alerts (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, sequence INTEGER NOT NULL UNIQUE, revision INTEGER NOT NULL,
    time INTEGER NOT NULL, severity INTEGER NOT NULL, rule TEXT NOT NULL,
    state TEXT NOT NULL, superseded_by TEXT, received INTEGER NOT NULL, updated INTEGER NOT NULL,
    told INTEGER NOT NULL DEFAULT 0, ahead INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL
);
INSERT INTO alerts (id, sequence, revision, time, severity, rule, state, superseded_by, received, updated, told, ahead, body)
    SELECT id, sequence, revision, time, severity, rule, state, superseded_by, received, updated, told, ahead, body
    FROM alerts_by_id ORDER BY sequence;
DROP TABLE alerts_by_id;
CREATE INDEX alerts_by_time ON alerts (time, id);

UPDATE kept SET bytes = (SELECT ifnull(sum(octet_length(body)), 0) FROM revisions) WHERE what = 'messages';
CREATE TRIGGER alerts_come AFTER INSERT ON alerts BEGIN
    UPDATE kept SET bytes = bytes + octet_length(NEW.body) WHERE what = 'alerts';
END;
CREATE TRIGGER alerts_grow AFTER UPDATE OF body ON alerts BEGIN
    UPDATE kept SET bytes = bytes + octet_length(NEW.body) - octet_length(OLD.body) WHERE what = 'alerts';
END;
CREATE TRIGGER alerts_leave AFTER DELETE ON alerts BEGIN
    UPDATE kept SET bytes = bytes - octet_length(OLD.body) WHERE what = 'alerts';
END;
CREATE TRIGGER revisions_come AFTER INSERT ON revisions BEGIN
    UPDATE kept SET bytes = bytes + octet_length(NEW.body) WHERE what = 'messages';
END;
CREATE TRIGGER revisions_leave AFTER DELETE ON revisions BEGIN
    UPDATE kept SET bytes = bytes - octet_length(OLD.body) WHERE what = 'messages';
END;

-- A hold that was noted after this moment was noted before the clock was set back: it is over.
ALTER TABLE holds ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
