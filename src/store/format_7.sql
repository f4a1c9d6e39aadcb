-- From format 6 to 7: what has told the recipient of a failed notification of its incident since is written down, because
-- times do not say what came after what if the clock was set back. What is known so far only the times say.
ALTER TABLE notification ADD COLUMN heard_from INTEGER;
-- And which message about an outage that was over is the first news of the line's next one.
ALTER TABLE notification ADD COLUMN instead_of INTEGER;
UPDATE notification SET heard_from = (
        SELECT other.id FROM notification AS other INDEXED BY notification_incident
        WHERE other.incident = notification.incident AND other.sink = notification.sink
        AND other.recipient = notification.recipient AND other.state = 'delivered' AND other.kind <> 'flapping'
        AND other.settled_at >= notification.settled_at ORDER BY other.settled_at DESC LIMIT 1
    ) WHERE state = 'dead';
