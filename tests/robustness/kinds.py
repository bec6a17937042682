"""The kinds of bad input there are to try, and where those are tried that are no bad values."""

from collections.abc import Mapping, Sequence
from typing import Final

KINDS: Final[Mapping[int, str]] = {
    1: "a quantity of 0 or less",
    2: "a quantity beyond counting, and a sum of such",
    3: "numbers that do not fit in 64 bits",
    4: "numbers that do not fit in 32 bits, where those are meant",
    5: "an unknown or unspecified value of an enum",
    6: "what is needed is missing; the empty request",
    7: "unknown fields",
    8: "the same field twice",
    9: "none of a oneof, two of a oneof, a choice that says no",
    10: "bytes that are no message",
    11: "text that is not UTF-8",
    12: "control, bidirectional and invisible characters",
    13: "names that look alike",
    14: "names and texts of every length",
    15: "names that are paths",
    16: "names that are SQL",
    17: "names that could be reserved",
    18: "names that are UUIDs, or nearly",
    19: "two lines of one stock",
    20: "carts of every length",
    21: "messages about the limit",
    22: "compressed messages that are not what they say",
    23: "messages within messages",
    24: "metadata of every size and kind",
    25: "credentials",
    26: "other content types",
    27: "what is no call of ours, or no HTTP/2",
    28: "deadlines that have passed, or never come",
    29: "calls that are broken off, or have no or two requests",
    30: "connections that are slow, dead, or cut",
    31: "streams that nobody reads",
    32: "floods of frames",
    33: "lengths of time",
    34: "times",
    35: "a wall clock that steps",
    36: "positions and versions",
    37: "page tokens that were not given out for this",
    38: "sizes of pages, lists and batches",
    39: "request ids",
    40: "commands on reservations that are over",
}

ELSEWHERE: Final[Mapping[int, Sequence[str]]] = {
    3: ["test_a_changed_request_is_refused_or_recorded_and_nothing_else"],
    4: [
        "test_no_number_that_means_something_is_cut_to_32_bits_on_the_way",
        "test_a_number_cut_to_32_bits_is_still_a_size_in_bounds",
    ],
    12: ["test_what_callers_send_never_makes_a_line_of_its_own"],
    19: ["test_a_cart_is_promised_if_and_only_if_there_is_enough_without_what_is_over"],
    21: ["test_a_call_that_is_malformed_below_the_message_ends_as_it_should"],
    22: ["test_a_call_that_is_malformed_below_the_message_ends_as_it_should"],
    23: ["test_a_field_is_either_classified_or_made_of_fields_that_are"],
    24: ["test_metadata_beyond_the_limit_is_refused_and_nothing_is_written"],
    26: ["test_a_call_that_is_malformed_below_the_message_ends_as_it_should"],
    27: ["test_what_is_no_http2_is_closed"],
    28: ["test_a_call_whose_deadline_passes_is_told_so_and_its_command_is_not_begun"],
    29: ["test_a_caller_who_cancels_leaves_no_call_behind"],
    30: ["test_a_slow_caller_holds_up_nobody"],
    32: ["test_a_flood_is_ended_and_others_are_served_meanwhile"],
    40: ["test_what_is_refused_says_why_and_records_nothing"],
}
"""Which tests do that, of those that are about more than the value of a field."""

NOT_OURS: Final = frozenset({25, 31, 35})
"""Those have tests of their own guarantees: closed by default, overload, holds."""
