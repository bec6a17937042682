"""The reader of files for import: files as spreadsheets, old systems and people write them."""

import io
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import pytest

from inventory_grpc.cli.files.identity import Digests
from inventory_grpc.cli.files.kinds import PRODUCTS, STOCK, STORES, Kind
from inventory_grpc.cli.files.requests import Batch, Requests, Tally, batches
from inventory_grpc.cli.files.table import csv_table, json_table
from inventory_grpc.cli.files.text import MAX_ROW, BadFile, Lines

HEAD: Final = "product_id,store_id,quantity\n"
KETTLES: Final = [("kettle", "lisbon", 5)]
GOOD: Final = f"{HEAD}kettle,lisbon,5\n"

Bad = tuple[int, str, str]
"""The row, the field and the problem."""


class Import:
    """An import of *content*, up to the sending of it."""

    def __init__(
        self,
        content: str | bytes,
        encoding: str | None = None,
        form: str = "csv",
        kind: Kind = STOCK,
    ) -> None:
        self.tally = Tally()
        self.bad: list[Bad] = []
        binary = io.BytesIO(content.encode() if isinstance(content, str) else content)
        read = csv_table if form == "csv" else json_table
        self._table = read(Lines(binary, encoding), kind.columns)
        self._requests = Requests(kind, self._table.columns, "deliveries.csv", dry_run=False)

    def batches(self) -> Iterator[Batch]:
        return batches(
            self._table,
            self._requests,
            self.tally,
            lambda row, fault: self.bad.append((row, fault.field, fault.problem)),
        )

    def requests(self) -> Sequence[Any]:
        return [request for batch in self.batches() for request in batch.requests]

    def units(self) -> list[tuple[str, str, int]]:
        return [(one.product_id, one.store_id, one.quantity) for one in self.requests()]


def ids(content: str, form: str = "csv") -> list[str]:
    return [request.request_id for request in Import(content, form=form).requests()]


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.encode("utf-8-sig"),
        GOOD.encode("utf-16"),
        b"\xfe\xff" + GOOD.encode("utf-16-be"),
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD.removesuffix("\n"),
        f"{HEAD}\n\r\n   \n,,\nkettle,lisbon,5\n\n",
        GOOD.replace(",", " , "),
        GOOD.replace("\n", ",,\n"),
        'PRODUCT_ID,"Store_Id",quantity\n"kettle","lisbon","5"\n',
        "quantity,store_id,product_id\n005,lisbon,kettle\n",
        "product_id,store_id,quantity,available,position\nkettle,lisbon,5,7,9\n",
        f"{HEAD}kettle,lisbon,5\nmug,porto,0\n",
    ],
    ids=lambda content: repr(content)[:60],
)
def test_a_file_that_can_be_understood_is(content: str | bytes) -> None:
    read = Import(content)
    assert read.units() == KETTLES
    assert read.bad == []


def test_a_value_may_have_delimiters_quotation_marks_and_line_breaks() -> None:
    read = Import(
        "product_id;store_id;quantity;reason\r\n"
        'kettle;lisbon;5;"three ""good"" ones;\r\nand two, of 5"" each"\r\nkettle;porto;x;\r\n'
    )
    [request] = read.requests()
    assert request.reason == 'three "good" ones;\r\nand two, of 5" each'
    assert read.bad == [(3, "quantity", "must be a whole number such as 5, not 'x'")]


class Refused(NamedTuple):
    content: str | bytes
    words: str
    rows: int = 0
    """Those that were read before."""


BROKEN: Final = (
    Refused("", "it has no 'product_id', 'store_id', 'quantity'"),
    Refused("kettle,lisbon,5\n", "the first row must name the columns"),
    Refused("product_id,quantity\n", "it has no 'store_id'"),
    Refused("product_id,store_id,quantity,store_id\n", "it has 'store_id' more than once"),
    Refused("product_id,store_id,quantity,colour\n", "it has 'colour', which is not a column"),
    Refused("product_id,,store_id,quantity\n", "its column 2 has no name"),
    Refused(GOOD.encode("utf-16-le"), "add --encoding utf-16-le"),
    Refused(
        f"{HEAD}kettle,lisbon,5\nmug,Évora,5\n".encode("latin-1"),
        "after row 0 comes the byte 0xC9 (in 'kettle,lisbon,5\\nmug,Évora,5\\n')",
    ),
    Refused(f"{HEAD}caf\xe9,lisbon,5\n".encode("latin-1"), "add --encoding latin-1"),
    Refused(f'{HEAD}kettle,lisbon,5\nmug,"lisbon"x,5\n', "row 3, which ends on line 3: ", 1),
    Refused(f'{HEAD}kettle,lisbon,5\n"mug,lisbon,5\n', "check its quotation marks", 1),
    Refused(f"{HEAD}kettle,lisbon,5\n{'x' * MAX_ROW},", f"longer than {MAX_ROW:,} characters", 1),
    Refused(GOOD + '"' + "mug\n" * MAX_ROW, "row 3 is longer than", 1),
    Refused(GOOD + '"\n",' * MAX_ROW, "row 3 is longer than", 1),
)


@pytest.mark.parametrize("refused", BROKEN, ids=lambda refused: refused.words)
def test_a_file_that_cannot_be_read_on_is_refused_in_words(refused: Refused) -> None:
    with pytest.raises(BadFile) as told:  # noqa: PT012  it may be raised anywhere
        read = Import(refused.content)
        rows = [batch.rows for batch in read.batches()]
        assert not rows
    assert refused.words in str(told.value)
    if refused.rows:
        assert read.tally.rows == refused.rows


def test_latin_1_is_read_where_it_is_named() -> None:
    content = "product_id,store_id,quantity,reason\nkettle,lisbon,5,Évora\n".encode("latin-1")
    [request] = Import(content, "latin-1").requests()
    assert request.reason == "Évora"


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "hex"])
def test_an_encoding_that_is_none_is_refused(encoding: str) -> None:
    with pytest.raises(BadFile, match="there is no encoding"):
        Import(GOOD, encoding)


THOUSANDS: Final = "has a separator of thousands or of decimals; write 1000 for thousands"


@pytest.mark.parametrize(
    ("row", "field", "problem"),
    [
        ('kettle,lisbon,"1,000"', "quantity", f"'1,000' {THOUSANDS}"),
        ("kettle,lisbon,1.000", "quantity", f"'1.000' {THOUSANDS}"),
        ("kettle,lisbon,1 000", "quantity", f"'1 000' {THOUSANDS}"),
        ("kettle,lisbon,1\xa0000", "quantity", f"'1\\xa0000' {THOUSANDS}"),
        ("kettle,lisbon,1\u202f000", "quantity", f"'1\\u202f000' {THOUSANDS}"),
        ("kettle,lisbon,1'000", "quantity", f'"1\'000" {THOUSANDS}'),
        ("kettle,lisbon,5.5", "quantity", "must be a whole number such as 5, not '5.5'"),
        ("kettle,lisbon,-5", "quantity", "must be a whole number such as 5, not '-5'"),
        ("kettle,lisbon,\u0665", "quantity", "must be a whole number such as 5, not '\u0665'"),
        ("kettle,lisbon,5_0", "quantity", "must be a whole number such as 5, not '5_0'"),
        ("kettle,lisbon,", "quantity", "is missing"),
        (",lisbon,5", "product_id", "is missing"),
        ("kettle,lisbon", "", "has 2 values for 3 columns"),
        ("kettle,lisbon,5,6", "", "has 4 values for 3 columns"),
        ("ket\0tle,lisbon,5", "", "has a NUL character; remove it"),
        (
            f"kettle,lisbon,{'9' * 5_000}",
            "quantity",
            f"must be a whole number such as 5, not '{'9' * 39}…",
        ),
    ],
)
def test_a_bad_row_has_its_number_its_field_and_its_problem(
    row: str, field: str, problem: str
) -> None:
    read = Import(f"{HEAD}kettle,lisbon,5\n\n{row}\nmug,lisbon,1\n")
    assert read.units() == [*KETTLES, ("mug", "lisbon", 1)]
    assert read.bad == [(4, field, problem)]
    assert read.tally.rows == 3


@pytest.mark.parametrize("time", ["2026-11-29", "2026-11-29T16:00", "yesterday", "45990.66"])
def test_a_time_without_a_zone_is_no_time(time: str) -> None:
    read = Import(f"product_id,store_id,quantity,occur_time\nkettle,lisbon,5,{time}\n")
    assert read.units() == []
    [(row, field, problem)] = read.bad
    assert (row, field) == (2, "occur_time")
    assert "a time with its zone such as 2026-11-29T16:00Z" in problem


KETTLE_JSON: Final = '{"product_id": "kettle", "store_id": "lisbon", "quantity": 5}'


def test_json_lines_are_read() -> None:
    read = Import(f"\ufeff{KETTLE_JSON}\r\n\n{KETTLE_JSON}", form="jsonl")
    assert read.units() == KETTLES * 2


@pytest.mark.parametrize(
    ("line", "field", "problem"),
    [
        ("kettle,lisbon,5", "", "is not JSON: Expecting value"),
        ("[" * 100_000, "", "is not JSON: maximum recursion depth"),
        (f"[{KETTLE_JSON}]", "", "is not an object such as"),
        ('{"product_id": "kettle", "product_id": "mug"}', "product_id", "is there more than once"),
        (KETTLE_JSON.replace("store_id", "shop"), "shop", "is not a column"),
        (KETTLE_JSON.replace("5", "5.5"), "quantity", "must be a whole number such as 5, not 5.5"),
        (
            KETTLE_JSON.replace("5", "true"),
            "quantity",
            "must be a whole number such as 5, not True",
        ),
        (KETTLE_JSON.replace("5", "-5"), "quantity", "must be a whole number such as 5, not '-5'"),
        (KETTLE_JSON.replace("5", '"1,000"'), "quantity", f"'1,000' {THOUSANDS}"),
        (KETTLE_JSON.replace('"lisbon"', "null"), "store_id", "is missing"),
        (KETTLE_JSON.replace('"lisbon"', "[]"), "store_id", "must be a text, not []"),
        (KETTLE_JSON.replace("kettle", "\\ud800"), "", "codec can't encode"),
        (KETTLE_JSON.replace("5", "9" * 5_000), "", "is not JSON: Exceeds the limit"),
    ],
)
def test_a_bad_line_of_json_has_its_number_its_field_and_its_problem(
    line: str, field: str, problem: str
) -> None:
    read = Import(f"{KETTLE_JSON}\n{line}\n{KETTLE_JSON}\n", form="jsonl")
    assert read.units() == KETTLES * 2
    [(row, bad_field, told)] = read.bad
    assert (row, bad_field) == (2, field)
    assert problem in told


def test_the_same_rows_have_the_same_ids_and_equal_rows_have_different_ones() -> None:
    content = f"{HEAD}kettle,lisbon,5\nkettle,lisbon,5\nmug,lisbon,1\n"
    found = ids(content)
    assert ids(content) == found
    assert len({*found}) == 3


def test_an_edited_file_gives_the_rows_that_stay_the_ids_that_they_had() -> None:
    before = ids(f"{HEAD}kettle,lisbon,5\nmug,lisbon,1\nkettle,lisbon,5\n")
    after = ids(
        "quantity;product_id;store_id;reason\n1;mug;lisbon;\n9;lamp;porto;new\n"
        "05;kettle;lisbon;\n5;kettle;lisbon;\n5;kettle;lisbon;\n"
    )
    assert {*before} < {*after}
    assert len({*after}) == 5
    assert ids(f"{KETTLE_JSON}\n", form="jsonl") == before[:1]


def test_ids_are_valid_and_sorted_as_the_products_are() -> None:
    found = ids(HEAD + "".join(f"{n:06}-kettle,lisbon,5\n" for n in range(100)))
    assert found == sorted(found)
    assert all(len(one) <= 128 and one.isascii() for one in found)


def test_a_row_with_an_id_of_its_own_keeps_it() -> None:
    head = HEAD.replace("\n", ",request_id\n")
    own, made = ids(f"{head}kettle,lisbon,5,delivery-7/1\nkettle,lisbon,5,\n")
    assert own == "delivery-7/1"
    assert [made] == ids(GOOD)


def test_messages_are_bounded_by_commands_and_by_bytes() -> None:
    many = Import(HEAD + "kettle,lisbon,5\n" * 1_001)
    assert [len(batch.rows) for batch in many.batches()] == [500, 500, 1]
    large = Import(HEAD.replace("\n", ",reason\n") + f"kettle,lisbon,5,{'x' * 100_000}\n" * 11)
    assert [len(batch.rows) for batch in large.batches()] == [6, 5]


def test_the_memory_of_an_import_does_not_grow_with_its_rows_but_for_their_digests() -> None:
    def rows() -> Iterator[bytes]:
        yield HEAD.encode()
        for n in range(10_000):
            yield f"kettle-{n},lisbon,5\n".encode()

    content = b"".join(rows())
    tracemalloc.start()
    read = Import(content)
    assert sum(len(batch.rows) for batch in read.batches()) == 10_000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most - len(content) < 2_500_000


def test_a_digest_that_lies_across_two_others_is_a_new_one() -> None:
    digests = Digests()
    first, second = b"..abcdefghij", b"..klmnopqrst"
    across = first[:2] + first[7:] + second[2:7]
    assert [digests.add(one) for one in (first, second, across, across, second, first)] == [
        0,
        0,
        0,
        1,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("kind", "content", "field", "problem"),
    [
        (PRODUCTS, "attributes\nkettle,red", "attributes", "is not JSON"),
        (PRODUCTS, "attributes\nkettle,[]", "attributes", "must be an object of texts"),
        (PRODUCTS, 'attributes\nkettle,"{""a"": 1}"', "attributes", "must be an object of texts"),
        (PRODUCTS, "state\nkettle,gone", "state", "must be ACTIVE or RETIRED, not 'gone'"),
        (STORES, "kind\nlisbon,shop", "kind", "must be STORE, WAREHOUSE or VIRTUAL, not 'shop'"),
        (STORES, "kind\nlisbon,unspecified", "kind", "must be STORE, WAREHOUSE or VIRTUAL"),
        (STORES, "kind\nlisbon,", "kind", "is missing"),
    ],
)
def test_a_bad_row_of_a_catalogue_has_its_field_and_its_problem(
    kind: Kind, content: str, field: str, problem: str
) -> None:
    read = Import(f"{kind.columns.required[0]},{content}\n", kind=kind)
    assert read.requests() == []
    [(row, bad_field, told)] = read.bad
    assert (row, bad_field) == (2, field)
    assert told.startswith(problem)


def test_a_key_of_attributes_that_is_there_twice_is_refused() -> None:
    read = Import('product_id,attributes\nkettle,"{""a"": ""1"", ""a"": ""2""}"\n', kind=PRODUCTS)
    assert read.requests() == []
    assert read.bad == [(2, "a", "is there more than once")]
