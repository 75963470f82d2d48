-- A state is written in parts, between commits; it counts once its head is there.
CREATE TABLE snapshot_parts (
    number INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (number, part)
);
INSERT INTO snapshot_parts SELECT number, 0, state FROM snapshot;
ALTER TABLE snapshot RENAME TO snapshot_in_one;
CREATE TABLE snapshot (
    id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, parts INTEGER NOT NULL, bytes INTEGER NOT NULL
);
INSERT INTO snapshot SELECT 1, number, 1, length(state) FROM snapshot_in_one;
DROP TABLE snapshot_in_one;
