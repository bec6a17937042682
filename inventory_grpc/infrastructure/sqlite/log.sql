-- The log: events, the keys of their streams and subjects, and the answered requests.
-- Rows are kept forever. Never edit these tables: a hash chain covers the events, and
-- `inventory-grpc verify` reports a change.

CREATE TABLE log (
  one         INTEGER PRIMARY KEY CHECK (one = 1),
  log_id      TEXT    NOT NULL,           -- the id for new events; the first link of the chain is the
                                          -- id in event 1, which a copy keeps
  create_time INTEGER NOT NULL,           -- in microseconds since 1970, like all times
  read_models INTEGER NOT NULL,           -- the version of the read models
  probe       INTEGER NOT NULL DEFAULT 0  -- incremented to test whether writing works
) STRICT;

-- A stream orders and versions events; its number is the position of its first event.
-- Kinds of keys: 1 a stock, named `<product>@<store>`; 2 a reservation, named by its id, as all that follow;
-- 3 a product; 4 a store; 5 a policy, named `<product>@<store>` by its scope.
CREATE TABLE streams (
  stream     INTEGER PRIMARY KEY,
  kind       INTEGER NOT NULL,  -- the kind of its key
  id         TEXT,              -- its key, unless that is product and store
  product_id TEXT,              -- if it belongs to a product
  store_id   TEXT,              -- if it belongs to a store
  name       TEXT    NOT NULL AS (ifnull(id, product_id || '@' || store_id))
) STRICT;
CREATE UNIQUE INDEX streams_by_name ON streams (kind, name);
CREATE INDEX streams_by_product ON streams (product_id, store_id);
CREATE INDEX streams_by_store ON streams (store_id, product_id);

-- A subject is a second object that events are about; its number is the position of the
-- first of them. One event can begin a stream and a subject, so there are two tables.
CREATE TABLE subjects (
  subject INTEGER PRIMARY KEY,
  kind    INTEGER NOT NULL,  -- the kind of its key, as in streams
  name    TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX subjects_by_name ON subjects (kind, name);

-- Each index of events implicitly has the position as its last column.
CREATE TABLE events (
  position       INTEGER PRIMARY KEY CHECK (position > 0),
  stream         INTEGER NOT NULL,
  version        INTEGER NOT NULL CHECK (version > 0),
  previous       INTEGER CHECK (previous BETWEEN 1 AND position - 1),  -- the event before it, of a
                                    -- stock only: see back_links.py
  ordinal        INTEGER NOT NULL,  -- the index in its command, from 0
  kind           INTEGER NOT NULL,  -- the kind of fact: its field number in the message
  subject        INTEGER,
  event          BLOB    NOT NULL,  -- inventory.v1.Event, as followers receive it
  hash           BLOB    NOT NULL,  -- SHA-256 over the previous hash and `event`
  second_subject INTEGER,           -- if an event is about two subjects
  alerts         INTEGER            -- if it has alerts: a bit for each, 1 << its number in the message
) STRICT;
CREATE UNIQUE INDEX events_by_version ON events (stream, version)
  WHERE (previous IS NULL OR version % 8 = 0);
CREATE INDEX events_of_subject ON events (subject) WHERE subject IS NOT NULL;
CREATE INDEX events_of_second_subject ON events (second_subject)
  WHERE second_subject IS NOT NULL;

CREATE INDEX events_with_alerts ON events (position, alerts) WHERE alerts IS NOT NULL;

-- The changes of terms that have not reached all of their stocks. They walk to them by product and
-- store, the oldest change first.
CREATE TABLE unsettled (
  since      INTEGER PRIMARY KEY,  -- the position of the change
  kind       INTEGER NOT NULL,     -- the kind and name of its stream, as in streams
  name       TEXT    NOT NULL,
  product_id TEXT,                 -- the last stock that the walk has looked at
  store_id   TEXT,
  UNIQUE (kind, name)
) STRICT;

CREATE TABLE requests (
  request     INTEGER PRIMARY KEY,  -- in the order of time; the oldest are deleted first
  actor       TEXT    NOT NULL,
  request_id  TEXT    NOT NULL,
  fingerprint BLOB    NOT NULL,
  position    INTEGER NOT NULL,     -- of its first event, or the head if it had none
  outcome     TEXT,                 -- the answer of a request without events
  record_time INTEGER NOT NULL,
  UNIQUE (actor, request_id)
) STRICT;
