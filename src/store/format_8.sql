-- From format 7 to 8: it is written down which message about an outage that was over is the first news of the line's next one.
ALTER TABLE notification ADD COLUMN instead_of INTEGER;
