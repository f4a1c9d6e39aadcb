DROP INDEX event_same;
DROP INDEX event_latest;
DROP INDEX incident_line;
DROP INDEX notification_state;
DROP INDEX notification_patience;
CREATE INDEX event_same ON event (stamp, instance) WHERE stamp IS NOT NULL;
CREATE INDEX notification_pending ON notification (sink, owed_at) WHERE state = 'pending';
CREATE INDEX notification_dead ON notification (sink) WHERE state = 'dead';
