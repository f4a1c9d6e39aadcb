-- From format 4 to 5: what held a notification back stays written while it is gathered with others.
ALTER TABLE notification ADD COLUMN held_before TEXT;
