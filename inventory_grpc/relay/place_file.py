"""The file with the place of a target that does not tell it."""

import json
import os
from pathlib import Path

from inventory_grpc.relay.target import Place, Unfit


def read_place(file: Path) -> Place:
    """Return the place in *file*; position 0 if there is no such file.

    Raises:
        Unfit: it cannot be read, or is damaged.
    """
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return Place()
    except OSError as error:
        raise Unfit(f"the place in {file} cannot be read: {error}") from error
    try:
        kept = json.loads(text)
        return Place(int(kept["position"]), str(kept["event_id"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Unfit(f"{file} has no place: name the file that a relay has written") from error


def write_place(file: Path, place: Place) -> None:
    """Replace the place in *file*; when this returns, it is on disk.

    Raises:
        OSError: it cannot be written.
    """
    written = file.with_name(f"{file.name}.new")
    with written.open("w", encoding="utf-8") as new:
        json.dump(place._asdict(), new)
        new.flush()
        os.fsync(new.fileno())
    written.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
