"""Products over gRPC: the command reader, the queries, and their rows."""

from collections.abc import Mapping
from typing import Final

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.queries.product import ProductQuery, find_product
from inventory_grpc.application.queries.settled import Shown
from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.domain.product import Product, ProductKey, PutProduct, RetireProduct
from inventory_grpc.domain.values import ProductId, Text
from inventory_grpc.presentation import page_tokens
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.entry_states import STATES, STATES_BY_NUMBER
from inventory_grpc.presentation.rows import CommandRow, QueryRow
from inventory_grpc.presentation.to_proto import fill_time
from inventory_grpc.presentation.validation import Validator, counted
from inventory_grpc_protos.v1 import catalogue_pb2, commands_pb2, queries_pb2

MAX_ATTRIBUTES: Final = 50
MAX_ATTRIBUTE_KEY_BYTES: Final = 64


def put_product(check: Validator, request: commands_pb2.PutProductRequest) -> PutProduct:
    check.all_stores("PutProduct")
    return PutProduct(
        check.value(ProductId, "product_id", request.product_id),
        check.text("sku", request.sku),
        check.text("name", request.name),
        _attributes(check, request.attributes),
        check.expected_version(request),
    )


def retire_product(check: Validator, request: commands_pb2.RetireProductRequest) -> RetireProduct:
    check.all_stores("RetireProduct")
    return RetireProduct(
        check.value(ProductId, "product_id", request.product_id),
        request.restore,
        check.expected_version(request),
    )


def _attributes(check: Validator, given: Mapping[str, str]) -> Mapping[str, str]:
    """Return the attributes in the order of their keys, as the log has them."""
    if len(given) > MAX_ATTRIBUTES:
        check.violation(
            "attributes", f"{counted(len(given))}; must be at most {MAX_ATTRIBUTES} entries"
        )
        return {}
    for key, value in given.items():
        if not 1 <= len(key.encode()) <= MAX_ATTRIBUTE_KEY_BYTES:
            check.violation(
                "attributes", f"each key must be 1 to {MAX_ATTRIBUTE_KEY_BYTES} bytes of UTF-8"
            )
        elif len(value.encode()) > Text.MAX_BYTES:
            check.violation(
                "attributes",
                f"the value of {key!a} must be at most {Text.MAX_BYTES} bytes of UTF-8",
            )
    return dict(sorted(given.items()))


def fill_product(message: catalogue_pb2.Product, product: Product) -> None:
    message.product_id = product.key.id
    message.sku = product.sku
    message.name = product.name
    message.attributes.update(product.attributes)
    message.version = product.version
    message.state = STATES[product.state]
    if product.create_time is not None and product.update_time is not None:
        fill_time(message.create_time, product.create_time)
        fill_time(message.update_time, product.update_time)


def product_message(product: Product) -> catalogue_pb2.Product:
    message = catalogue_pb2.Product()
    fill_product(message, product)
    return message


def _fill_shown(message: catalogue_pb2.Product, shown: Shown[Product]) -> None:
    fill_product(message, shown.entry)
    message.settled = shown.settled


def _fill_outcome(
    response: commands_pb2.PutProductResponse | commands_pb2.RetireProductResponse, outcome: Outcome
) -> None:
    fill_product(response.product, outcome.streams[0])
    response.position = outcome.position
    response.replayed = outcome.replayed


async def get_product(
    queries: Queries, request: queries_pb2.GetProductRequest, call: Call
) -> queries_pb2.GetProductResponse:
    with Validator(call.caller) as check:
        product_id = check.value(ProductId, "product_id", request.product_id)
        at_least = check.number("min_position", request.min_position, 0)
    reading = await find_product(queries.latest(at_least), ProductKey(product_id))
    response = queries_pb2.GetProductResponse(as_of_position=reading.as_of)
    _fill_shown(response.product, reading.value)
    return response


async def list_products(
    queries: Queries, request: queries_pb2.ListProductsRequest, call: Call
) -> queries_pb2.ListProductsResponse:
    with Validator(call.caller) as check:
        after = page_tokens.last_key(check, request, request.page_token, ProductId)
        query = ProductQuery(
            check.values(Text, "skus", request.skus),
            check.choices("states", request.states, STATES_BY_NUMBER, "must be a state"),
            after[0] if after else "",
            limit=page_tokens.size(check, request.page_size),
        )
        at_least = check.number("min_position", request.min_position, 0)
    reading = await queries.latest(at_least).read(query)
    response = queries_pb2.ListProductsResponse(as_of_position=reading.as_of)
    for product in reading.value.rows:
        _fill_shown(response.products.add(), product)
    if reading.value.after is not None:
        response.next_page_token = page_tokens.token(request, reading.value.after)
    return response


COMMANDS: Final = (
    CommandRow("PutProduct", put_product, _fill_outcome),
    CommandRow("RetireProduct", retire_product, _fill_outcome),
)

QUERIES: Final = (
    QueryRow("GetProduct", get_product),
    QueryRow("ListProducts", list_products),
)
