-- `head` marks the oldest queued message of its lane, the only one that may be sent: the next message is
-- found without looking at those behind it. Triggers keep it, so a redrive by hand does too.
ALTER TABLE outbox ADD COLUMN severity INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN head INTEGER NOT NULL DEFAULT 0;
-- Wall time of the first attempt from which the age counts; 0 before it.
ALTER TABLE outbox ADD COLUMN tried INTEGER NOT NULL DEFAULT 0;
UPDATE outbox SET severity = ifnull((SELECT severity FROM alerts WHERE id = alert), 0) WHERE state = 'queued';
UPDATE outbox SET head = 1
    WHERE row IN (SELECT min(row) FROM outbox WHERE state = 'queued' GROUP BY sink, lane);
DROP INDEX IF EXISTS outbox_lanes;
CREATE INDEX outbox_lanes ON outbox (sink, lane, row) WHERE state = 'queued';
CREATE INDEX outbox_by_severity ON outbox (sink, severity DESC, row, due, leased_until) WHERE head = 1;
CREATE INDEX outbox_by_due ON outbox (sink, due, row, leased_until) WHERE head = 1;
CREATE INDEX outbox_dead ON outbox (sink) WHERE state = 'dead';
CREATE TRIGGER outbox_joins AFTER INSERT ON outbox WHEN NEW.state = 'queued' AND NOT EXISTS (
    SELECT 1 FROM outbox WHERE sink = NEW.sink AND lane = NEW.lane AND state = 'queued' AND row < NEW.row
) BEGIN
    UPDATE outbox SET head = 1 WHERE row = NEW.row;
END;
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
-- The last revision that people were told, and by how much it is ahead of the engine's count, which
-- begins anew when an alert comes back.
ALTER TABLE alerts ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN ahead INTEGER NOT NULL DEFAULT 0;
UPDATE alerts SET told = revision;
-- Vendors' ids are unique within a kind of log at best, so the kind is part of the key.
ALTER TABLE archived RENAME TO archived_without_kind;
CREATE TABLE archived (
    kind TEXT NOT NULL, id TEXT NOT NULL, origin TEXT NOT NULL, time INTEGER NOT NULL,
    segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, line INTEGER NOT NULL,
    PRIMARY KEY (id, kind, origin)
) WITHOUT ROWID;
INSERT INTO archived SELECT '', id, origin, time, segment, offset, length, line FROM archived_without_kind;
DROP TABLE archived_without_kind;
CREATE INDEX archived_by_segment ON archived (segment);
-- Until when a receiver asked to be left alone.
CREATE TABLE holds (sink TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER outbox_redriven AFTER UPDATE OF state ON outbox
WHEN OLD.state <> 'queued' AND NEW.state = 'queued' BEGIN
    UPDATE outbox SET attempts = 0, tried = 0 WHERE row = NEW.row;
END;
