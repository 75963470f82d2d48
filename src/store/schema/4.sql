-- How much text alerts and messages hold, so that retention need not count them. Triggers keep it.
CREATE TABLE kept (what TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO kept SELECT 'alerts', ifnull(sum(octet_length(body)), 0) FROM alerts;
INSERT INTO kept SELECT 'messages', ifnull(sum(octet_length(body)), 0) FROM outbox;
CREATE TRIGGER alerts_come AFTER INSERT ON alerts BEGIN
    UPDATE kept SET bytes = bytes + octet_length(NEW.body) WHERE what = 'alerts';
END;
CREATE TRIGGER alerts_grow AFTER UPDATE OF body ON alerts BEGIN
    UPDATE kept SET bytes = bytes + octet_length(NEW.body) - octet_length(OLD.body) WHERE what = 'alerts';
END;
CREATE TRIGGER alerts_leave AFTER DELETE ON alerts BEGIN
    UPDATE kept SET bytes = bytes - octet_length(OLD.body) WHERE what = 'alerts';
END;
CREATE TRIGGER messages_come AFTER INSERT ON outbox BEGIN
    UPDATE kept SET bytes = bytes + octet_length(NEW.body) WHERE what = 'messages';
END;
CREATE TRIGGER messages_leave AFTER DELETE ON outbox BEGIN
    UPDATE kept SET bytes = bytes - octet_length(OLD.body) WHERE what = 'messages';
END;
