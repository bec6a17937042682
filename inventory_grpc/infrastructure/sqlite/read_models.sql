-- What can be made again from the log, and is: by `inventory-grpc rebuild`, and at
-- start when this file has changed. They say which; how much is folded from events.

-- What its last event has made of a stock: the snapshot that the next one goes on from.
-- Changed by hand, it makes the log wrong that is recorded from then on.
CREATE TABLE stocks (
  stream      INTEGER PRIMARY KEY,
  on_hand     INTEGER NOT NULL CHECK (on_hand >= 0),
  reserved    INTEGER NOT NULL CHECK (reserved >= 0),
  version     INTEGER NOT NULL,
  update_time INTEGER NOT NULL
) STRICT;

-- A reservation is known by its number as a subject, and named there.
CREATE TABLE reservations (
  reservation    INTEGER PRIMARY KEY,
  customer_id    TEXT    NOT NULL,
  order_id       TEXT,
  reference      TEXT    NOT NULL,
  state          TEXT    NOT NULL,
  create_time    INTEGER NOT NULL,
  expire_time    INTEGER
) STRICT;
CREATE INDEX reservations_of_customer ON reservations (customer_id);
CREATE INDEX reservations_for_order ON reservations (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX reservations_by_expiry ON reservations (expire_time)
  WHERE state = 'active' AND expire_time IS NOT NULL;

CREATE TABLE reservation_lines (
  reservation INTEGER NOT NULL,
  stream      INTEGER NOT NULL,
  quantity    INTEGER NOT NULL,
  held        INTEGER NOT NULL CHECK (held >= 0),
  committed   INTEGER NOT NULL DEFAULT 0,
  released    INTEGER NOT NULL DEFAULT 0,
  expired     INTEGER NOT NULL DEFAULT 0,
  expire_time INTEGER,
  PRIMARY KEY (reservation, stream),
  CHECK (quantity = held + committed + released + expired)
) STRICT, WITHOUT ROWID;
CREATE INDEX lines_of_stock ON reservation_lines (stream, reservation);
CREATE INDEX lines_by_expiry ON reservation_lines (stream, expire_time)
  WHERE held > 0 AND expire_time IS NOT NULL;

-- Folded reservations to fold on from.
CREATE TABLE reservation_snapshots (
  reservation INTEGER PRIMARY KEY,
  position    INTEGER NOT NULL,
  state       TEXT    NOT NULL
) STRICT;
