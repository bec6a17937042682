"""A file is served under one name: under two names it would have two WALs."""

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inventory_grpc.cli import app
from inventory_grpc.infrastructure.sqlite import file_aliases
from inventory_grpc.infrastructure.sqlite.companions import companion
from inventory_grpc.infrastructure.sqlite.file_set import Misplaced
from tests.support.opened import checked, opened
from tests.support.world import add


@pytest.fixture
async def other(path: Path, tmp_path: Path) -> Path:
    """Return the name of a hard link, in another folder, to a file that was served."""
    async with opened(path) as shop:
        await shop.record(add(1))
    (other := tmp_path / "other" / path.name).parent.mkdir()
    os.link(path, other)
    return other


async def _refusal(path: Path) -> str:
    with pytest.raises(Misplaced) as refused:
        async with opened(path):
            pass
    return str(refused.value)


async def test_of_two_hard_links_only_the_one_beside_the_mark_is_served(
    path: Path, other: Path
) -> None:
    for _ in range(2):
        assert "2 names (hard links)" in await _refusal(other)
        async with opened(path) as shop:
            await shop.record(add(1))
            assert "2 names (hard links)" in await _refusal(other)
    companion(path, ".mark").unlink()
    assert "2 names (hard links)" in await _refusal(path)
    companion(other, "").unlink()
    async with opened(path) as shop:
        await shop.record(add(1))
    checked(path)


@pytest.mark.parametrize("command", ["verify", "events", "rebuild", "backup", "clock"])
async def test_no_command_looks_at_a_served_file_by_another_name(
    path: Path, other: Path, command: str
) -> None:
    shutil.copy(companion(path, ".mark"), companion(other, ".mark"))
    target = [str(other.with_name("new.db"))] if command == "backup" else []
    async with opened(path) as shop:
        result = CliRunner().invoke(app, [command, "-d", str(other), *target])
        assert (result.exit_code, "under another name" in result.stderr) == (1, True)
        assert "under another name" in await _refusal(other)
        await shop.record(add(1))


async def test_a_file_that_was_moved_under_a_server_is_not_served_by_its_new_name(
    path: Path,
) -> None:
    moved = path.with_name("moved.db")
    async with opened(path) as shop:
        await shop.record(add(1))
        shutil.move(path, moved)
        assert "under another name" in await _refusal(moved)
    companion(path, ".mark").unlink()
    async with opened(moved) as shop:
        assert (await shop.levels()).on_hand == 1


async def test_a_file_that_is_mounted_by_itself_is_refused(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = (tmp_path / "a folder").resolve() / path.name
    monkeypatch.setattr(file_aliases, "MOUNTS", mounts := tmp_path / "mountinfo")
    root = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    mounts.write_text(root, encoding="ascii")
    async with opened(path):
        pass
    name = str(path).replace(" ", r"\040")
    line = f"54 22 254:0 /data/inventory.db {name} rw,relatime shared:1 - ext4 /dev/vda rw\n"
    mounts.write_text(root + line, encoding="ascii")
    assert "mount its folder instead" in await _refusal(path)


async def test_a_folder_may_have_any_number_of_names(path: Path, tmp_path: Path) -> None:
    (link := tmp_path / "link").symlink_to(path.parent, target_is_directory=True)
    async with opened(path) as one, opened(link / path.name) as two:
        await one.record(add(1))
        await two.record(add(1))
    assert checked(path).position == 2
