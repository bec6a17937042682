"""The descriptor set has every rpc with its URL, and the details of errors."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

import pytest
from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from scripts.descriptors import UnknownRpc, http_rules, methods_of, with_urls
from tests.support.documents import API, ROOT, rows_of, text_of
from tests.support.samples import METHODS

WITHOUT_URL: Final = {
    # A stream in both directions has no form in JSON; ExecuteBatch has one.
    "inventory.v1.InventoryCommands.ExecuteStream",
    # They are for gRPC: a stream of states, and a list that probes do not need.
    "grpc.health.v1.Health.Watch",
    "grpc.health.v1.Health.List",
}
DESCRIPTORS: Final = FileDescriptorSet.FromString((ROOT / "generated/inventory.binpb").read_bytes())
URLS: Final = {
    name: method.options.Extensions[annotations_pb2.http]
    for name, method in methods_of(DESCRIPTORS)
    if method.options.HasExtension(annotations_pb2.http)
}


def bindings(rule: HttpRule) -> Iterator[tuple[str, str]]:
    """Yield the method and URL of *rule*, and of each additional one."""
    yield ("GET", rule.get) if rule.get else ("POST", rule.post)
    for other in rule.additional_bindings:
        yield from bindings(other)


def test_every_rpc_has_a_url_or_a_reason() -> None:
    names = {name for name, _ in methods_of(DESCRIPTORS)}
    assert {method.full_name for method in METHODS.values()} <= names
    assert set(URLS) == names - WITHOUT_URL


def test_the_urls_are_those_of_the_file() -> None:
    assert dict(http_rules((ROOT / "protos/http.yaml").read_text("utf-8"))) == URLS


def test_no_two_rpcs_have_one_url() -> None:
    told = [
        (method, re.sub(r"\{\w+\}", "{}", url))
        for rule in URLS.values()
        for method, url in bindings(rule)
    ]
    assert Counter(told).most_common(1)[0][1] == 1


@pytest.mark.parametrize("name", [name for name in URLS if name.startswith("inventory.")])
def test_a_url_names_fields_of_the_request_and_a_post_has_the_others_in_its_body(
    name: str,
) -> None:
    fields = METHODS[name.rpartition(".")[2]].input_type.fields_by_name
    for method, url in bindings(URLS[name]):
        assert set(re.findall(r"\{(\w+)\}", url)) <= set(fields)
        assert URLS[name].body == ("*" if method == "POST" else "")


def test_the_details_of_errors_are_in_it() -> None:
    """Without them, Envoy answers a refusal with an empty body."""
    names = {f"{file.package}.{one.name}" for file in DESCRIPTORS.file for one in file.message_type}
    assert {
        "google.rpc.Status",
        "google.rpc.ErrorInfo",
        "google.rpc.BadRequest",
        "google.rpc.RetryInfo",
        "inventory.v1.ShortLines",
        "inventory.v1.Stock",
    } <= names


def test_no_proto_imports_the_annotations() -> None:
    """A client would need them to read the proto."""
    imported = {name for file in DESCRIPTORS.file for name in file.dependency}
    assert not {name for name in imported if name.startswith("google/api")}


def test_a_rule_for_an_rpc_that_does_not_exist_is_refused() -> None:
    rules = "http: {rules: [{selector: inventory.v1.InventoryQueries.GetKettle, get: /v1/kettle}]}"
    with pytest.raises(UnknownRpc, match="GetKettle"):
        with_urls(DESCRIPTORS.SerializeToString(), rules)


def test_the_table_of_urls_is_that_of_the_file() -> None:
    told = {(name, *url.split(" ")) for name, url, _ in rows_of(text_of(API), "rpc", "URL")}
    assert told == {
        (name.rpartition(".")[2], method, url)
        for name, rule in URLS.items()
        for method, url in bindings(rule)
    }
