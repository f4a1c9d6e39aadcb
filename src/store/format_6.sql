-- From format 5 to 6: a webhook writes one index entry less, and no row of sqlite_sequence.
UPDATE notification SET leased = 0 WHERE leased = 1 AND state = 'pending';
DROP INDEX notification_due;
DROP INDEX notification_pending;
CREATE INDEX notification_due ON notification (sink, due_at, id, owed_at) WHERE state = 'pending' AND leased = 0;
CREATE VIEW pending AS
    SELECT * FROM notification WHERE state = 'pending' AND leased = 0
    UNION ALL SELECT notification.* FROM attempt CROSS JOIN notification ON id = notification WHERE outcome IS NULL;
-- As in the step to format 4, no stored data change. A table whose latest rows are deleted still needs to be told its
-- next number.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, ' AUTOINCREMENT', '')
    WHERE type = 'table' AND coalesce((SELECT seq FROM sqlite_sequence WHERE name = sqlite_schema.name), 0) = CASE name
        WHEN 'incident' THEN (SELECT coalesce(max(id), 0) FROM incident)
        WHEN 'event' THEN (SELECT coalesce(max(id), 0) FROM event)
        WHEN 'notification' THEN (SELECT coalesce(max(id), 0) FROM notification)
    END;
DELETE FROM sqlite_sequence
    WHERE name NOT IN (SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '% AUTOINCREMENT%');
PRAGMA writable_schema = RESET;
