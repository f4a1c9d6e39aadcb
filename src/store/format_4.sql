-- From format 3 to 4: the checks on writing a row cost nothing any more. For `IN`, SQLite made a table of the four
-- states at each write; and an open incident is never forgotten, so that a line's reference to it need not be checked.
-- No stored data change, only the checks (sqlite.org/lang_altertable.html, the end of chapter 7).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(
        sql,
        'CHECK (state IN (''pending'', ''delivered'', ''dead'', ''withdrawn''))',
        'CHECK (state = ''pending'' OR state = ''delivered'' OR state = ''dead'' OR state = ''withdrawn'')'
    )
    WHERE type = 'table' AND name = 'notification';
UPDATE sqlite_schema SET sql = replace(sql, 'incident INTEGER REFERENCES incident (id)', 'incident INTEGER')
    WHERE type = 'table' AND name = 'line';
PRAGMA writable_schema = RESET;
