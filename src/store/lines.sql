-- Fills in what lines know of their events and incidents. (Not when the latest webhook came: that is only compared with
-- when a gateway was asked, which is later from now on.) `row::with_outage` replaces what is in braces.
INSERT OR IGNORE INTO line (source, instance) SELECT DISTINCT source, instance FROM event;
UPDATE line SET last_event = known.id
    FROM (SELECT source, instance, max(id) AS id FROM event GROUP BY source, instance) AS known
    WHERE known.source = line.source AND known.instance = line.instance;
UPDATE line SET newest_stamp = known.stamp
    FROM (SELECT source, instance, max(stamp) AS stamp FROM event WHERE stamp IS NOT NULL GROUP BY source, instance) AS known
    WHERE known.source = line.source AND known.instance = line.instance;
UPDATE line SET last_incident = known.id
    FROM (
        SELECT source, instance, max(id) AS id FROM incident WHERE {OUTAGE} GROUP BY source, instance
    ) AS known
    WHERE known.source = line.source AND known.instance = line.instance;
-- No rule counts outages for longer than a week.
UPDATE incident SET previous = known.previous
    FROM (
        SELECT id, lag(id) OVER (PARTITION BY source, instance ORDER BY id) AS previous FROM incident
        WHERE opened_at > (SELECT max(opened_at) FROM incident) - 8 * 86400000
        AND {OUTAGE}
    ) AS known
    WHERE known.id = incident.id AND known.previous IS NOT NULL AND incident.previous IS NULL;
