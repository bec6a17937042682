-- Converts the tables of a log from format 3 to format 4. No event is rewritten: earlier
-- events have no alerts, and no policy was set.

ALTER TABLE events ADD COLUMN alerts INTEGER;
CREATE INDEX events_with_alerts ON events (position, alerts) WHERE alerts IS NOT NULL;

CREATE TABLE unsettled (
  since      INTEGER PRIMARY KEY,
  kind       INTEGER NOT NULL,
  name       TEXT    NOT NULL,
  product_id TEXT,
  store_id   TEXT,
  UNIQUE (kind, name)
) STRICT;
