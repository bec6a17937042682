"""A profile attributes each sample to the part whose file it came from."""

import pytest

from scripts.bench.processor_time import OTHERS, PARTS, PerfFailed, shares_of

SITE = "/home/ana/.venv/lib/python3.12/site-packages"


def test_each_file_counts_for_whose_it_is() -> None:
    seen = {
        "Python": ["/usr/lib/libpython3.12.so.1.0", "/usr/bin/python3.12"],
        "gRPC": [f"{SITE}/grpc/_cython/cygrpc.cpython-312-x86_64-linux-gnu.so"],
        "protobuf": [f"{SITE}/google/_upb/_message.abi3.so"],
        "SQLite": [f"{SITE}/apsw/__init__.so", f"{SITE}/apsw/sqlite_extra_binaries/cksumvfs.so"],
        "kernel": ["[kernel.kallsyms]", "[vdso]", "[ext4]", "/lib/modules/6.1/nvme.ko.xz"],
        OTHERS: ["/usr/lib/x86_64-linux-gnu/libc.so.6", f"{SITE}/orjson/orjson.so", "[unknown]"],
    }

    shares = shares_of(file for files in seen.values() for file in files)

    assert [*shares] == [*PARTS, OTHERS]
    assert shares == {part: len(files) / 13 for part, files in seen.items()}


@pytest.mark.parametrize("seen", [[], ["/usr/bin/python3.12"]])
def test_shares_without_the_kernel_are_no_figures(seen: list[str]) -> None:
    with pytest.raises(PerfFailed, match="may not sample the kernel"):
        shares_of(seen)
