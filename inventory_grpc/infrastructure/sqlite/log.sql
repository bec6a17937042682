-- The truth: events, the names of what they are about, and the requests they answered.
-- What is written here is kept for ever. Never edit these tables: the log is a chain
-- of hashes, and `inventory-grpc verify` will tell.

CREATE TABLE log (
  one         INTEGER PRIMARY KEY CHECK (one = 1),
  log_id      TEXT    NOT NULL,           -- new events are recorded in it; the first link of the chain
                                          -- is the id in event 1, which a copy keeps
  create_time INTEGER NOT NULL,           -- microseconds since 1970, as all times here
  read_models INTEGER NOT NULL,           -- the version of the tables made from the log
  probe       INTEGER NOT NULL DEFAULT 0  -- written to find out whether writing works
) STRICT;

-- A stream orders and versions events; it is known by the position of its first event.
-- Kinds of keys: 1 a stock, named `<product>@<store>`; 2 a reservation, named by its id.
CREATE TABLE streams (
  stream     INTEGER PRIMARY KEY,
  kind       INTEGER NOT NULL,  -- of its key
  id         TEXT,              -- of its key, unless product and store are all of it
  product_id TEXT,              -- where it belongs to a product
  store_id   TEXT,              -- where it belongs to a store
  name       TEXT    NOT NULL AS (ifnull(id, product_id || '@' || store_id))
) STRICT;
CREATE UNIQUE INDEX streams_by_name ON streams (kind, name);
CREATE INDEX streams_by_product ON streams (product_id, store_id);
CREATE INDEX streams_by_store ON streams (store_id, product_id);

-- A subject is a second thing that events are about; it is known by the position of the
-- first of them. One event can begin a stream and a subject: hence two tables.
CREATE TABLE subjects (
  subject INTEGER PRIMARY KEY,
  kind    INTEGER NOT NULL,  -- of its key, as in streams
  name    TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX subjects_by_name ON subjects (kind, name);

-- In each index of events, the position is the last column without being named.
CREATE TABLE events (
  position       INTEGER PRIMARY KEY CHECK (position > 0),
  stream         INTEGER NOT NULL,
  version        INTEGER NOT NULL CHECK (version > 0),
  ordinal        INTEGER NOT NULL,  -- its place in its command: 0 where one begins
  kind           INTEGER NOT NULL,  -- of fact: its field in the message
  subject        INTEGER,
  event          BLOB    NOT NULL,  -- inventory.v1.Event, as followers receive it
  hash           BLOB    NOT NULL,  -- SHA-256 over the hash before and `event`
  second_subject INTEGER,           -- where an event is about two
  UNIQUE (stream, version)
) STRICT;
CREATE INDEX events_of_subject ON events (subject) WHERE subject IS NOT NULL;
CREATE INDEX events_of_second_subject ON events (second_subject)
  WHERE second_subject IS NOT NULL;

CREATE TABLE requests (
  request     INTEGER PRIMARY KEY,  -- in the order of time: forgotten from the front
  actor       TEXT    NOT NULL,
  request_id  TEXT    NOT NULL,
  fingerprint BLOB    NOT NULL,
  position    INTEGER NOT NULL,     -- of its first event; else the head as it was
  outcome     TEXT,                 -- the answer, where there are no events to make it from
  record_time INTEGER NOT NULL,
  UNIQUE (actor, request_id)
) STRICT;
