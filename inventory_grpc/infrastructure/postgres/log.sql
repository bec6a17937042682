-- The log: events, the keys of their streams and subjects, and the answered requests. The tables are
-- those of SQLite, see log.sql there. Ids are compared by their bytes, and times are microseconds
-- since 1970. There are no sequences: positions have no gaps, and each number is a position.

CREATE TABLE log (
  one         int2 PRIMARY KEY CHECK (one = 1),
  log_id      text NOT NULL,           -- the id for new events; that in event 1 is the first link
  create_time int8 NOT NULL,
  format      int2 NOT NULL,
  read_models int2 NOT NULL,
  probe       int8 NOT NULL DEFAULT 0  -- incremented to test whether writing works
);

CREATE TABLE streams (
  stream     int8 PRIMARY KEY,
  kind       int2 NOT NULL,
  id         text COLLATE "C",
  product_id text COLLATE "C",
  store_id   text COLLATE "C",
  name       text COLLATE "C" NOT NULL
    GENERATED ALWAYS AS (coalesce(id, product_id || '@' || store_id)) STORED
);
CREATE UNIQUE INDEX streams_by_name ON streams (kind, name);
CREATE INDEX streams_by_product ON streams (product_id, store_id);
CREATE INDEX streams_by_store ON streams (store_id, product_id);

CREATE TABLE subjects (
  subject int8 PRIMARY KEY,
  kind    int2 NOT NULL,
  name    text COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX subjects_by_name ON subjects (kind, name);

-- The long columns are first, as they are aligned. Rows are only added, and frozen by the first vacuum.
CREATE TABLE events (
  position       int8 PRIMARY KEY CHECK (position > 0),
  stream         int8 NOT NULL,
  version        int8 NOT NULL CHECK (version > 0),
  subject        int8,
  second_subject int8,
  alerts         int8,
  ordinal        int2 NOT NULL,
  kind           int2 NOT NULL,
  hash           bytea NOT NULL,
  event          bytea NOT NULL,
  UNIQUE (stream, version) INCLUDE (position)
) WITH (autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_scale_factor = 0.02);
CREATE INDEX events_of_subject ON events (subject, position) WHERE subject IS NOT NULL;
CREATE INDEX events_of_second_subject ON events (second_subject, position)
  WHERE second_subject IS NOT NULL;
CREATE INDEX events_with_alerts ON events (position, alerts) WHERE alerts IS NOT NULL;

CREATE TABLE unsettled (
  since      int8 PRIMARY KEY,
  kind       int2 NOT NULL,
  name       text COLLATE "C" NOT NULL,
  product_id text COLLATE "C",
  store_id   text COLLATE "C",
  UNIQUE (kind, name)
);

-- The oldest requests are deleted first.
CREATE TABLE requests (
  position    int8 NOT NULL,
  record_time int8 NOT NULL,
  actor       text COLLATE "C" NOT NULL,
  request_id  text COLLATE "C" NOT NULL,
  fingerprint bytea NOT NULL,
  outcome     text,
  PRIMARY KEY (actor, request_id)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX requests_by_time ON requests (record_time, position);
