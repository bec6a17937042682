"""Makes the descriptor set of the API: every message and service, and the URL of each rpc.

Envoy, `grpcurl -protoset` and `buf breaking` read it. The URLs come from `protos/http.yaml`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodDescriptorProto
from google.protobuf.json_format import ParseDict
from grpc_health.v1 import health_pb2


class UnknownRpc(Exception):
    """A rule has a URL for an rpc that does not exist."""


def with_urls(compiled: bytes, rules: str) -> bytes:
    """Return the descriptor set that protoc made, with health checks and the URLs of *rules*."""
    descriptors = FileDescriptorSet.FromString(compiled)
    health_pb2.DESCRIPTOR.CopyToProto(descriptors.file.add())
    methods = dict(methods_of(descriptors))
    for selector, rule in http_rules(rules):
        if selector not in methods:
            raise UnknownRpc(selector)
        methods[selector].options.Extensions[annotations_pb2.http].CopyFrom(rule)
    return descriptors.SerializeToString(deterministic=True)


def methods_of(descriptors: FileDescriptorSet) -> Iterator[tuple[str, MethodDescriptorProto]]:
    """Yield every rpc with its full name, such as `inventory.v1.InventoryQueries.GetStock`."""
    for file in descriptors.file:
        for service in file.service:
            for method in service.method:
                yield f"{file.package}.{service.name}.{method.name}", method


def http_rules(text: str) -> Iterator[tuple[str, http_pb2.HttpRule]]:
    """Yield the full name of each rpc in a `google.api.Service` file, and its rule."""
    rules: Sequence[Mapping[str, Any]] = yaml.safe_load(text)["http"]["rules"]
    for rule in rules:
        fields = {name: value for name, value in rule.items() if name != "selector"}
        yield rule["selector"], ParseDict(fields, http_pb2.HttpRule())
