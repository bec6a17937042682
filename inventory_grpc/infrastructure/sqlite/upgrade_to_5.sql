-- Converts the table of events from format 4 to format 5, where the events of stocks have back
-- links and the index by version is sparse, see back_links.py. No event is changed. The function
-- `copied` tells of the progress, and returns the position that it is given.

ALTER TABLE events RENAME TO former_events;
DROP INDEX events_of_subject;
DROP INDEX events_of_second_subject;
DROP INDEX events_with_alerts;
CREATE TABLE events (
  position       INTEGER PRIMARY KEY CHECK (position > 0),
  stream         INTEGER NOT NULL,
  version        INTEGER NOT NULL CHECK (version > 0),
  previous       INTEGER CHECK (previous BETWEEN 1 AND position - 1),
  ordinal        INTEGER NOT NULL,
  kind           INTEGER NOT NULL,
  subject        INTEGER,
  event          BLOB    NOT NULL,
  hash           BLOB    NOT NULL,
  second_subject INTEGER,
  alerts         INTEGER
) STRICT;
INSERT INTO events
  SELECT copied(position), stream, version,
    (SELECT before.position FROM former_events AS before
      WHERE streams.kind = 1 AND before.stream = former_events.stream
      AND before.version = former_events.version - 1
      AND before.position < former_events.position),
    ordinal, former_events.kind, subject, event, hash, second_subject, alerts
  FROM former_events LEFT JOIN streams USING (stream) ORDER BY position;
DROP TABLE former_events;
CREATE UNIQUE INDEX events_by_version ON events (stream, version)
  WHERE (previous IS NULL OR version % 8 = 0);
CREATE INDEX events_of_subject ON events (subject) WHERE subject IS NOT NULL;
CREATE INDEX events_of_second_subject ON events (second_subject)
  WHERE second_subject IS NOT NULL;
CREATE INDEX events_with_alerts ON events (position, alerts) WHERE alerts IS NOT NULL;
