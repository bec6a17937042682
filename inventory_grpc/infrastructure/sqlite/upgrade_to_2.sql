-- Converts the tables of a log from format 1 to format 2. No event is rewritten.
-- The table `subjects` is filled from the events afterwards.

ALTER TABLE streams RENAME TO former_streams;
DROP INDEX streams_by_product;
DROP INDEX streams_by_store;
CREATE TABLE streams (
  stream     INTEGER PRIMARY KEY,
  kind       INTEGER NOT NULL,
  id         TEXT,
  product_id TEXT,
  store_id   TEXT,
  name       TEXT    NOT NULL AS (ifnull(id, product_id || '@' || store_id))
) STRICT;
INSERT INTO streams (stream, kind, product_id, store_id)
  SELECT stream, 1, product_id, store_id FROM former_streams ORDER BY stream;
DROP TABLE former_streams;
CREATE UNIQUE INDEX streams_by_name ON streams (kind, name);
CREATE INDEX streams_by_product ON streams (product_id, store_id);
CREATE INDEX streams_by_store ON streams (store_id, product_id);

CREATE TABLE subjects (
  subject INTEGER PRIMARY KEY,
  kind    INTEGER NOT NULL,
  name    TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX subjects_by_name ON subjects (kind, name);

DROP INDEX events_of_reservation;
ALTER TABLE events RENAME COLUMN reservation TO subject;
ALTER TABLE events ADD COLUMN second_subject INTEGER;
CREATE INDEX events_of_subject ON events (subject) WHERE subject IS NOT NULL;
CREATE INDEX events_of_second_subject ON events (second_subject)
  WHERE second_subject IS NOT NULL;
