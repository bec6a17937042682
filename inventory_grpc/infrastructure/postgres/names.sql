-- The names of the log, and the place where it was last opened for writing: after a failover or a
-- restore it is at another one, and may lack its last events.

CREATE TABLE IF NOT EXISTS log_names (
  number         int4 PRIMARY KEY,
  log_id         text COLLATE "C" NOT NULL UNIQUE,
  after_position int8 NOT NULL CHECK (after_position >= 0),  -- where it began to be used
  create_time    int8 NOT NULL,
  why            text NOT NULL
);

-- A value that PostgreSQL does not tell its role is NULL.
CREATE TABLE IF NOT EXISTS log_place (
  one      int2 PRIMARY KEY CHECK (one = 1),
  system   int8,           -- of the data directory; also its standbys and physical copies have it
  timeline int8,           -- a promotion or a recovery to an earlier time begins a new one
  relation text NOT NULL,  -- the object ids of the database and of the table log: a dump has others
  note_time int8 NOT NULL
);
