-- From format 1 to 2: what was found by asking the gateway.
ALTER TABLE incident ADD COLUMN found INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event ADD COLUMN asked_at INTEGER;
