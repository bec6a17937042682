"""Generates the Python code of the contract in `protos/` into `generated/`.

The wire package is `inventory.v1`. The Python package is `inventory_grpc_protos.v1`, because
a caller may well have a package of its own called `inventory`. With `--check` nothing is
written, and it fails when `generated/` is not what the protos give.
"""

import argparse
import filecmp
import re
import shutil
import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GENERATED = ROOT / "generated"
WIRE_PACKAGE = "inventory"
PACKAGE = "inventory_grpc_protos"
WIRE_IMPORT = re.compile(rf"^from {WIRE_PACKAGE}\.", re.MULTILINE)
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if generated/ is not fresh"
    )
    check: bool = parser.parse_args().check
    with tempfile.TemporaryDirectory() as directory:
        fresh = Path(directory)
        generate(fresh)
        stale = differences(fresh, GENERATED)
        if check:
            for name in stale:
                print(f"generated/{name} does not follow from protos/", file=sys.stderr)
            if stale:
                print("Run `make protos` and commit what it makes.", file=sys.stderr)
            return 1 if stale else 0
        shutil.rmtree(GENERATED / PACKAGE, ignore_errors=True)
        shutil.copytree(fresh / PACKAGE, GENERATED / PACKAGE)
        print(f"generated/: {len(stale)} files changed" if stale else "generated/: as it was")
    return 0


def generate(target: Path) -> None:
    """Write messages and their stubs, and where there is a service, its classes too."""
    protos = sorted((PROTOS / WIRE_PACKAGE).rglob("*.proto"))
    # An rpc plugin leaves an empty file for every proto without a service.
    services = [path for path in protos if "\nservice " in path.read_text("utf-8")]
    compile_protos(protos, f"--python_out={target}", f"--mypy_out=quiet:{target}")
    compile_protos(
        services, f"--grpc_python_out={target}", f"--mypy_grpc_out=only_async,quiet:{target}"
    )
    (target / WIRE_PACKAGE).rename(target / PACKAGE)
    for path in [*target.rglob("*.py"), *target.rglob("*.pyi")]:
        path.write_text(WIRE_IMPORT.sub(f"from {PACKAGE}.", path.read_text("utf-8")), "utf-8")
    (target / PACKAGE / "py.typed").touch()


def compile_protos(protos: list[Path], *outputs: str) -> None:
    """Run protoc, with the plugins that are installed beside this interpreter."""
    beside = Path(sys.executable).parent
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTOS}",
            f"--proto_path={WELL_KNOWN}",
            f"--plugin=protoc-gen-mypy={beside / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={beside / 'protoc-gen-mypy_grpc'}",
            *outputs,
            *(str(path.relative_to(PROTOS)) for path in protos),
        ]
    )
    if status:
        sys.exit(f"protoc failed with status {status}")


def differences(fresh: Path, kept: Path) -> list[str]:
    """Return the files that are in one tree only, or differ, by name."""
    names = sorted(files(fresh) | files(kept))
    _, mismatches, missing = filecmp.cmpfiles(fresh, kept, names, shallow=False)
    return sorted(mismatches + missing)


def files(root: Path) -> set[str]:
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


if __name__ == "__main__":
    sys.exit(main())
