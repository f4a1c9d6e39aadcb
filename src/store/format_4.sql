-- From format 3 to 4: what writing a row checks costs nothing any more. For `IN`, SQLite made a table of the four states
-- at each writing; and an open incident is not forgotten, so that a line need not be watched over for it. Nothing of
-- what is stored changes, only what it is checked against (sqlite.org/lang_altertable.html, the end of chapter 7).
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
