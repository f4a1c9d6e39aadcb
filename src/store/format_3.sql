-- From format 2 to 3: a line's row has what a webhook needs to know, and every index grows at its end, so that a
-- webhook costs the same however many came before it.
ALTER TABLE line ADD COLUMN last_incident INTEGER;
ALTER TABLE line ADD COLUMN last_event INTEGER;
ALTER TABLE line ADD COLUMN heard_at INTEGER;
ALTER TABLE line ADD COLUMN newest_stamp INTEGER;
ALTER TABLE incident ADD COLUMN previous INTEGER;
ALTER TABLE incident ADD COLUMN heard_at INTEGER;
