-- The durable state. Times are milliseconds since 1970; every timer is a due time in a row.

-- Every webhook writes to these tables. So whatever grows with the number of webhooks grows at its end, or at the end
-- of one of few parts: a large index that begins with the line would make each webhook write a page of its own.

-- No number is given twice. For incidents, events and notifications, that takes no AUTOINCREMENT, which writes a page
-- more: the row with the largest number is never deleted. (In a store that was damaged, that row may be lost. There they
-- have AUTOINCREMENT, and as well where a former format had deleted that row.)

-- What is known of each line besides its incidents: the open one, and the gateway's clock at its last reports. For a
-- reason that is no outage, a line has a row of its own, under a source such as `z-api#webhook-drift`.
CREATE TABLE line (
    source TEXT NOT NULL,
    instance TEXT NOT NULL,
    incident INTEGER,
    down_at INTEGER,
    up_at INTEGER,
    -- Its latest incident, open or over; `previous` leads to those before.
    last_incident INTEGER,
    -- Its latest event.
    last_event INTEGER,
    -- When the latest webhook about it came.
    heard_at INTEGER,
    -- The gateway's largest time value so far: a webhook with a larger one is no copy.
    newest_stamp INTEGER,
    PRIMARY KEY (source, instance)
) WITHOUT ROWID, STRICT;

-- One outage of one line (or something else that is wrong), with what the inventory said of the line when it began.
CREATE TABLE incident (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    instance TEXT NOT NULL,
    name TEXT,
    phone TEXT,
    labels TEXT NOT NULL,
    reason TEXT NOT NULL,
    error TEXT,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    -- Who acknowledged it, from where, and when.
    acknowledged_by TEXT,
    acknowledged_from TEXT,
    acknowledged_at INTEGER,
    -- Whether it was found by asking the gateway: no webhook came.
    found INTEGER NOT NULL DEFAULT 0,
    -- The line's incident before this one, if it is still kept.
    previous INTEGER,
    -- When linedown heard of it.
    heard_at INTEGER
) STRICT;
CREATE INDEX incident_open ON incident (opened_at) WHERE closed_at IS NULL;
CREATE INDEX incident_closed ON incident (closed_at) WHERE closed_at IS NOT NULL;

-- One webhook, or what asking the gateway found.
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    instance TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    error TEXT,
    stamp INTEGER,
    at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    incident INTEGER REFERENCES incident (id) ON DELETE CASCADE,
    change TEXT NOT NULL,
    payload TEXT NOT NULL,
    -- When the gateway was asked, if that is how it was found.
    asked_at INTEGER
) STRICT;
-- (The time values of all lines grow together.)
CREATE INDEX event_same ON event (stamp, instance) WHERE stamp IS NOT NULL;
CREATE INDEX event_incident ON event (incident) WHERE incident IS NOT NULL;
CREATE INDEX event_loose ON event (received_at) WHERE incident IS NULL;

-- One message owed to one recipient of one sink.
CREATE TABLE notification (
    id INTEGER PRIMARY KEY,
    incident INTEGER NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
    rule TEXT NOT NULL,
    sink TEXT NOT NULL,
    recipient TEXT NOT NULL,
    kind TEXT NOT NULL,
    wants_resolved INTEGER NOT NULL,
    -- The notification that was given up, if this one tells of that.
    lost INTEGER REFERENCES notification (id) ON DELETE CASCADE,
    -- Withdrawn is what need not be sent any more. (For IN, SQLite would make a table of the four at each write.)
    state TEXT NOT NULL DEFAULT 'pending'
        CHECK (state = 'pending' OR state = 'delivered' OR state = 'dead' OR state = 'withdrawn'),
    created_at INTEGER NOT NULL,
    -- Since when it is owed, for `give_up_after`: when it was first to be sent, which whatever holds it back moves, or
    -- when a person sent it again.
    owed_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    -- What it waits for until it is due, in words: a hold, a silence, the next reminder.
    held_by TEXT,
    -- What it waited for before it was gathered with others or tried: messages say what held them back. Of a step of an
    -- escalation that is held back or was due from the start: the step.
    held_before TEXT,
    -- What may go out with it in one message: the rule and what its outages have in common; and the sort of news.
    grouping TEXT NOT NULL,
    class TEXT NOT NULL,
    -- For a message about a line that flaps: when the first of its outages began.
    since INTEGER,
    -- Once it has been tried in one message with others: the first notification of that message.
    batch INTEGER,
    -- Whether a worker has it in hand.
    leased INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- The state of the incident that the last attempt told.
    told_reason TEXT,
    told_closed INTEGER,
    settled_at INTEGER,
    -- The receipt, or the last failure.
    detail TEXT,
    -- Of one that failed: the latest message that has told its recipient of the incident since.
    heard_from INTEGER,
    -- If its last attempt told as well that the line is down again, because the notification that was to tell that was given
    -- up: that one.
    instead_of INTEGER
) STRICT;
CREATE INDEX notification_due ON notification (sink, due_at, id, owed_at) WHERE state = 'pending' AND leased = 0;
CREATE INDEX notification_dead ON notification (sink) WHERE state = 'dead';
CREATE INDEX notification_incident ON notification (incident);
CREATE INDEX notification_lost ON notification (lost) WHERE lost IS NOT NULL;

CREATE INDEX notification_group ON notification (sink, recipient, grouping, class, due_at) WHERE state = 'pending' AND leased = 0;
CREATE INDEX notification_batch ON notification (batch) WHERE batch IS NOT NULL;

-- Group windows: until when what follows a group's message is gathered.
CREATE TABLE gathering (
    sink TEXT NOT NULL,
    recipient TEXT NOT NULL,
    grouping TEXT NOT NULL,
    class TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (sink, recipient, grouping, class)
) WITHOUT ROWID, STRICT;
CREATE INDEX gathering_until ON gathering (until);

-- Spells of flapping, of a line and for a rule: until when, unless the line changes before; the worst reason that
-- people know of; and the outage that the tally is about so far.
CREATE TABLE flapping (
    source TEXT NOT NULL,
    instance TEXT NOT NULL,
    rule TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    reason TEXT NOT NULL,
    incident INTEGER NOT NULL,
    PRIMARY KEY (source, instance, rule)
) WITHOUT ROWID, STRICT;
CREATE INDEX flapping_until ON flapping (until);

-- Silences: matchers, and a period in which what they match is held back.
CREATE TABLE silence (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    matcher TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    comment TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;
CREATE INDEX silence_end ON silence (ends_at);

-- One try to hand a notification to its sink. Without an end it is in progress, or a crash cut it short.
CREATE TABLE attempt (
    notification INTEGER NOT NULL REFERENCES notification (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    detail TEXT,
    PRIMARY KEY (notification, number)
) WITHOUT ROWID, STRICT;
CREATE INDEX attempt_under_way ON attempt (notification) WHERE outcome IS NULL;

-- What waits, and what workers have in hand. Each part has its index: for `state = 'pending'` alone, SQLite would look at
-- all notifications.
CREATE VIEW pending AS
    SELECT * FROM notification WHERE state = 'pending' AND leased = 0
    UNION ALL SELECT notification.* FROM attempt CROSS JOIN notification ON id = notification WHERE outcome IS NULL;

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT;
INSERT INTO meta (key, value) VALUES ('name', lower(hex(randomblob(4)))), ('link key', lower(hex(randomblob(32))));
