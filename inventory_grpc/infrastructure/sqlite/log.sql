-- The truth: events, the names of their streams, and the requests they answered.
-- What is written here is kept for ever. Never edit these tables: the log is a chain
-- of hashes, and `inventory-grpc verify` will tell.

CREATE TABLE log (
  one         INTEGER PRIMARY KEY CHECK (one = 1),
  log_id      TEXT    NOT NULL,           -- new events are recorded in it; the first link of the chain
                                          -- is the id in event 1, which a copy keeps
  create_time INTEGER NOT NULL,           -- microseconds since 1970, as all times here
  read_models INTEGER NOT NULL,           -- the version of the tables in read_models.sql
  probe       INTEGER NOT NULL DEFAULT 0  -- written to find out whether writing works
) STRICT;

-- A stream is known by the position of its first event.
CREATE TABLE streams (
  stream     INTEGER PRIMARY KEY,
  product_id TEXT NOT NULL,
  store_id   TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX streams_by_product ON streams (product_id, store_id);
CREATE INDEX streams_by_store ON streams (store_id, product_id);

CREATE TABLE events (
  position    INTEGER PRIMARY KEY CHECK (position > 0),
  stream      INTEGER NOT NULL,
  version     INTEGER NOT NULL CHECK (version > 0),
  ordinal     INTEGER NOT NULL,  -- its place in its command: 0 where one begins
  kind        INTEGER NOT NULL,  -- of fact: its field in the message
  reservation INTEGER,           -- the position of the reservation's first event
  event       BLOB    NOT NULL,  -- inventory.v1.Event, as followers receive it
  hash        BLOB    NOT NULL,  -- SHA-256 over the hash before and `event`
  UNIQUE (stream, version)
) STRICT;
CREATE INDEX events_of_reservation ON events (reservation) WHERE reservation IS NOT NULL;

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
