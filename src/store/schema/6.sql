-- What should arrive and what does, as of the last commits. Times are microseconds; what is not so yet is NULL. `quiet_from`
-- and `since` are moved on by the time in which nobody listened.
CREATE TABLE coverage (
    kind TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
    since INTEGER, silent_after INTEGER,
    first INTEGER, last INTEGER, quiet_from INTEGER, usual INTEGER,
    told TEXT, told_anchor INTEGER, told_at INTEGER,
    PRIMARY KEY (kind, account, region)
) WITHOUT ROWID;
