"""Good and bad values for every field of the contract, by kind of bad input.

The kinds are numbered as in `bad_input.KINDS`.
"""

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.presentation import page_tokens
from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest
from inventory_grpc_protos.v1.commands_pb2 import Command
from inventory_grpc_protos.v1.policies_pb2 import Policy

INT64_MAX: Final = 2**63 - 1
INT64_MIN: Final = -(2**63)
INT32_MAX: Final = 2**31 - 1
MOST: Final = 10**9
HIGHEST: Final = 10**15
NEARLY_A_MEBIBYTE: Final = 1_000_000
DAYS: Final = 86_400

Values = Mapping[int, Sequence[Any]]
"""By kind. One may be a function that makes the value from the rest of the request."""


@dataclass(frozen=True)
class Rule:
    """One field, or each element of a list."""

    good: Any
    bad: Values
    fine: Values = field(default_factory=dict)
    is_needed: bool = False
    """Whether a request without it is refused."""
    is_usual: bool = False
    """Whether a request is better tried with it."""
    most: int = 0
    """The most entries that a list may have."""


def _needed(rule: Rule, good: object = None) -> Rule:
    return replace(rule, good=good or rule.good, is_needed=True)


NO_IDS: Final[Values] = {
    12: ["kettle\n", *(f"ket{mark}tle" for mark in "\0\r\n\x1b\x7f\x85\ufeff\u2028\u202e\u200b")],
    13: ["k\u00e9ttle", "ke\u0301ttle", "\uff4bettle", "\u0130stanbul", "kettle ", " kettle"],
    14: ["x" * 129, "x" * NEARLY_A_MEBIBYTE],
    15: ["C:\\kettle", "%00", "kettle%2fetc"],
    16: ["'; DROP TABLE events;--", '" OR 1=1', "?1", "\\", "%"],
    17: ["$all", "$system", "*"],
    18: ["{7d7d0d1c-3b0f-5a64-9f0e-0c6b7a9d2f11}", "7d7d0d1c-3b0f-5a64-9f0e-0c6b7a9d2f1\u0430"],
    39: ["na\u00efve", "two words"],
}
IDS: Final[Values] = {
    13: ["KETTLE", "Kettle"],
    14: ["x", "x" * 128],
    15: ["../../etc/passwd", "file:/etc/passwd", "." * 128],
    16: [":name", "_"],
    17: ["null", "_internal", "system"],
    18: ["00000000-0000-0000-0000-000000000000", "FFFFFFFF-ffff-FFFF-ffff-FFFFFFFFFFFF"],
}
OPTIONAL_ID: Final = Rule("a1", NO_IDS, {**IDS, 6: [""]})
ID: Final = Rule("a1", {**NO_IDS, 6: [""]}, IDS, is_needed=True)

STATE: Final = Rule("returned", {**NO_IDS, 5: ["no-such-state", "Damaged"]}, {6: [""]})

TEXT: Final = Rule(
    None,
    {
        12: ["\0", "a\0b", "x" * 129 + "\0"],
        14: ["x" * 513, "\u00e9" * 257, "x" * NEARLY_A_MEBIBYTE],
    },
    {
        6: [""],
        12: ["\r\n\x1b[31m\x7f\x85\ufeff\u2028\u202e\u200b"],
        13: ["e\u0301" * 100],
        14: ["x" * 512, "\u00e9" * 256],
        16: ["'; DROP TABLE events;--", "%_\\"],
    },
)

NO_TIMES: Final[Sequence[Timestamp]] = [
    Timestamp(seconds=-62_135_596_801),
    Timestamp(seconds=253_402_300_800),
    Timestamp(seconds=10**18),
    Timestamp(seconds=INT64_MIN),
    Timestamp(nanos=-5),
    Timestamp(nanos=10**9),
]
PAST: Final = Rule(
    None,
    {34: NO_TIMES},
    {34: [Timestamp(seconds=second) for second in (-62_135_596_800, -1, 0, 253_402_300_799)]},
)
"""A time in the log; one before its beginning has seen nothing, one that is to come sees all."""


def _seconds_from_now(seconds: int) -> Callable[[Message], Timestamp]:
    return lambda _: Timestamp(seconds=int(time.time()) + seconds)


OCCURRED: Final = Rule(
    None,
    {34: [*NO_TIMES, Timestamp(seconds=946_684_799), _seconds_from_now(2 * DAYS)]},
    {34: [Timestamp(seconds=946_684_800), _seconds_from_now(DAYS - 60)]},
)
EXPIRES: Final = Rule(
    None,
    {34: [*NO_TIMES, Timestamp(), _seconds_from_now(-1), _seconds_from_now(31 * DAYS)]},
    {34: [_seconds_from_now(60), _seconds_from_now(29 * DAYS)]},
)


def _span(most_seconds: int) -> Rule:
    bad = [(0, 0), (-1, 0), (0, 1), (0, 999_999_999), (5, -1), (5, 2 * 10**9), (10**15, 0)]
    bad += [(most_seconds, 1_000), (INT64_MAX, 0), (INT64_MIN, -1)]
    return Rule(
        None,
        {33: [Duration(seconds=seconds, nanos=nanos) for seconds, nanos in bad]},
        {33: [Duration(seconds=1), Duration(seconds=most_seconds)]},
    )


def _whole(kind: int, *, least: int = 0, most: int = INT64_MAX, usual: bool = False) -> Rule:
    """Return the rule of a number that may be left out."""
    fine = sorted({least, 1, 2**62, most})
    bad = [least - 1, INT64_MIN]
    if most < INT64_MAX:
        bad += [most + 1, INT64_MAX]
    return Rule(
        0, {kind: bad}, {kind: [one for one in fine if least <= one <= most]}, is_usual=usual
    )


def _forged(key: bytes) -> Callable[[Message], str]:
    """Return a token in the right format with a key that was never issued."""
    return lambda request: base64.urlsafe_b64encode(
        page_tokens._digest(request, key) + key
    ).decode()


def _page_token(*forged: bytes) -> Rule:
    """Return the rule of a token whose key is none of *forged*."""
    return Rule(
        None,
        {
            37: [
                *("x", "AAAA", "=", "\u00fc", "\0", "A" * NEARLY_A_MEBIBYTE),
                *(page_tokens.token(GetServerInfoRequest(), *key) for key in ("1", "12")),
                *map(_forged, (b"%", b"%\0%", b"1\x002\x003", b"\xff", b"'\0a", *forged)),
            ]
        },
        {6: [""]},
    )


PAGE_TOKEN: Final = _page_token(b"\0", b"\x001")
PAGE_SIZE: Final = Rule(None, {38: [-1, -(2**31)]}, {38: [0, 1, 1_000, 1_001, INT32_MAX]})
TRUE: Final = Rule(None, {9: [False]}, {9: [True]})
ANY_FLAG: Final = Rule(None, {}, {9: [False, True]})

ENTRY_STATES: Final = Rule(1, {5: [0, 3, -1, INT32_MAX]}, {5: [2]}, most=100)

ADJUSTMENT: Final = "adjustment"
"""The one oneof of which something has to be chosen."""

RULES: Final[Mapping[str, Rule]] = {
    "product_id": _needed(ID, "kettle"),
    "store_id": _needed(ID, "lisbon"),
    "customer_id": _needed(ID, "ana"),
    "reservation_id": _needed(ID, "r1"),
    "order_id": OPTIONAL_ID,
    "request_id": OPTIONAL_ID,
    "log_id": OPTIONAL_ID,
    "ReserveStockRequest.reservation_id": OPTIONAL_ID,
    "CheckAvailabilityRequest.reservation_id": OPTIONAL_ID,
    "ListReservationsRequest.customer_id": OPTIONAL_ID,
    "ListReservationsAtRiskRequest.customer_id": OPTIONAL_ID,
    "ListReservationsRequest.product_id": OPTIONAL_ID,
    "ListReservationsRequest.store_id": OPTIONAL_ID,
    **{
        f"{request}.{part}": OPTIONAL_ID
        for request in ("SetPolicyRequest", "GetPolicyRequest", "ListPoliciesRequest")
        for part in ("product_id", "store_id")
    },
    "policy": Rule(Policy(safety_stock=1), {}, is_needed=True),
    "safety_stock": _whole(2, most=MOST),
    "backorder_limit": _whole(2, most=HIGHEST),
    "low_stock_at": _whole(2, most=HIGHEST),
    "alert_hysteresis": _whole(2, most=HIGHEST),
    "restore": ANY_FLAG,
    "reason": TEXT,
    "reference": TEXT,
    "AdjustStockRequest.reason": Rule(
        "count", {**TEXT.bad, 6: [""]}, {12: TEXT.fine[12]}, is_needed=True
    ),
    "state": STATE,
    "from_state": STATE,
    "MoveStockRequest.to_state": Rule("damaged", {**STATE.bad, 6: [""]}, is_needed=True),
    "ReverseEventRequest.reason": Rule(
        "typo", {**TEXT.bad, 6: [""]}, {12: TEXT.fine[12]}, is_needed=True
    ),
    "reversed_position": replace(_whole(36, least=1), good=1, is_needed=True),
    "channel": OPTIONAL_ID,
    "FenceStockRequest.channel": _needed(ID, "web"),
    "in_stock_only": ANY_FLAG,
    "quantity": Rule(
        1, {1: [0, -1, INT64_MIN], 2: [MOST + 1, INT64_MAX]}, {2: [MOST]}, is_needed=True
    ),
    "delta": Rule(
        1,
        {1: [0], 2: [MOST + 1, -MOST - 1, INT64_MAX, INT64_MIN]},
        {1: [-1], 2: [MOST, -MOST]},
        is_usual=True,
    ),
    "FenceStockRequest.delta": Rule(
        1, {1: [0], 2: [MOST + 1, INT64_MIN]}, {1: [-1], 2: [MOST, -MOST]}, is_needed=True
    ),
    "on_hand": _whole(2),
    "expected_version": _whole(36),
    "AdjustStockRequest.expected_version": _whole(36, usual=True),
    "expected_on_hand": Rule(None, {36: [0, -1, INT64_MIN]}),
    "unconditional": Rule(None, {9: [True]}, {9: [False]}),
    "min_position": _whole(36),
    "as_of_position": _whole(36),
    "after_position": _whole(36),
    "before_position": _whole(36),
    "max_available": _whole(38),
    "max_batch": Rule(None, {38: [-1, 513, INT32_MAX, -(2**31)]}, {38: [0, 1, 512]}),
    "page_size": PAGE_SIZE,
    "page_token": PAGE_TOKEN,
    "ListPoliciesRequest.page_token": _page_token(),  # a part of a scope may be empty
    "occur_time": OCCURRED,
    "expire_time": EXPIRES,
    "as_of_time": PAST,
    "after_time": PAST,
    "ttl": _span(30 * DAYS),
    "heartbeat": _span(60),
    "never_expires": TRUE,
    "from_now": TRUE,
    "newest_first": ANY_FLAG,
    "low_stock": ANY_FLAG,
    "short": ANY_FLAG,
    "backordered": ANY_FLAG,
    "dry_run": Rule(good=False, bad={}),
    "atomic": Rule(good=True, bad={}, is_usual=True),
    "stop_at_head": Rule(good=True, bad={}, is_usual=True),
    "states": Rule(1, {5: [0, 99, -1, INT32_MAX]}, {5: [2, 3, 4]}, most=100),
    "ListProductsRequest.states": ENTRY_STATES,
    "ListStoresRequest.states": ENTRY_STATES,
    "event_types": Rule(
        "StockAdded", {5: ["StockSold", "", "stock_added", "\0"]}, {5: ["StockRemoved"]}, most=100
    ),
    "product_ids": replace(ID, is_needed=False, most=100),
    "store_ids": replace(ID, is_needed=False, most=100),
    "reservation_ids": replace(ID, is_needed=False, most=100),
    "alerts": Rule(3, {5: [0, 99, -1, INT32_MAX]}, {5: [4, 5, 6]}, most=100),
    "subjects": Rule(
        "product/kettle",
        {5: ["kettle", "", "product", "product/", "stock/kettle", "product/kettle\n", "\0/x"]},
        {5: ["product/a/b"]},
        most=100,
    ),
    "kind": Rule(1, {5: [99, -1, INT32_MAX], 6: [0]}, {5: [2, 3]}, is_needed=True),
    "kinds": Rule(1, {5: [0, 99, -1, INT32_MAX]}, {5: [2, 3]}, most=100),
    "groups": replace(ID, is_needed=False, most=100),
    "PutStoreRequest.groups": replace(ID, is_needed=False, most=20),
    "sku": TEXT,
    "name": TEXT,
    "skus": replace(TEXT, good="K-1", most=100),
    "attributes": Rule(
        None,
        {
            14: [{"x" * 65: ""}, {"\u00e9" * 33: ""}, {"a": "x" * 513}, {"a": "\u00e9" * 257}],
            20: [{str(number): "" for number in range(51)}, {"": ""}],
        },
        {
            12: [{"\0\r\n\x1b[31m": "\u202e"}],
            14: [{"x" * 64: "x" * 512}],
            20: [{str(number): "" for number in range(50)}],
        },
    ),
    "keys": Rule(None, {}, is_needed=True, most=1_000),
    "lines": Rule(None, {}, most=500),
    "reacquire_if_available": ANY_FLAG,
    "mode": Rule(0, {5: [99, -1, INT32_MAX]}, {5: [1, 2]}),
    "AmendReservationRequest.lines": Rule(None, {}, is_needed=True, most=500),
    "ReserveStockRequest.lines": Rule(None, {}, is_needed=True, most=500),
    "CheckAvailabilityRequest.lines": Rule(None, {}, is_needed=True, most=500),
    "filter": Rule(None, {}),
    "commands": Rule(None, {}, is_needed=True, most=1_000),
    **{field.name: Rule(None, {}) for field in Command.DESCRIPTOR.fields},
}
"""By name; where a message has one of its own, by message and name. A message within is made
of its own fields."""


def rule_of(field: FieldDescriptor) -> Rule:
    """Return what *field* takes.

    Raises:
        KeyError: nobody has said.
    """
    own = own_name(field)
    return RULES[own if own in RULES else field.name]


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def own_name(field: FieldDescriptor) -> str:
    """Return the name of *field*, with that of its message."""
    assert field.containing_type
    return f"{field.containing_type.name}.{field.name}"
