"""Generates the Python code in `generated/` from the contract in `protos/`.

The wire package is `inventory.v1`. The Python package is `inventory_grpc_protos.v1`, because
callers may have a package `inventory` of their own. With `--check` nothing is written, and the
exit status is 1 if `generated/` is stale.
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

from scripts.descriptors import with_urls

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GENERATED = ROOT / "generated"
WIRE_PACKAGE = "inventory"
PACKAGE = "inventory_grpc_protos"
DESCRIPTORS = "inventory.binpb"
WIRE_IMPORT = re.compile(rf"^from {WIRE_PACKAGE}\.", re.MULTILINE)
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if generated/ is stale"
    )
    check: bool = parser.parse_args().check
    with tempfile.TemporaryDirectory() as directory:
        fresh = Path(directory)
        generate(fresh)
        stale = differences(fresh, GENERATED)
        if check:
            for name in stale:
                print(f"generated/{name} is stale", file=sys.stderr)
            if stale:
                print("Run `make protos` and commit the result.", file=sys.stderr)
            return 1 if stale else 0
        shutil.rmtree(GENERATED / PACKAGE, ignore_errors=True)
        shutil.copytree(fresh / PACKAGE, GENERATED / PACKAGE)
        shutil.copy(fresh / DESCRIPTORS, GENERATED / DESCRIPTORS)
        print(f"generated/: {len(stale)} files changed" if stale else "generated/: unchanged")
    return 0


def generate(target: Path) -> None:
    generate_descriptors(target / DESCRIPTORS)
    generate_code(target)


def generate_descriptors(target: Path) -> None:
    """Write the descriptor set, with the details of errors, which no proto of ours imports."""
    protos = sorted(PROTOS.rglob("*.proto"))
    compile_protos(protos, f"--descriptor_set_out={target}", "--include_imports")
    rules = (PROTOS / "http.yaml").read_text("utf-8")
    target.write_bytes(with_urls(target.read_bytes(), rules))


def generate_code(target: Path) -> None:
    """Write the messages, the services and their stubs."""
    protos = sorted((PROTOS / WIRE_PACKAGE).rglob("*.proto"))
    # The rpc plugins write an empty file for a proto without a service.
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
    """Run protoc with the plugins installed beside this interpreter."""
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
    """Return the names of files that differ, or are in one tree only."""
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
