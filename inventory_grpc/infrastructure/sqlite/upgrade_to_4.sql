-- Converts the tables of a log from format 3 to format 4. No event is rewritten: earlier
-- events have no alerts.

ALTER TABLE events ADD COLUMN alerts INTEGER;
CREATE INDEX events_with_alerts ON events (position, alerts) WHERE alerts IS NOT NULL;
