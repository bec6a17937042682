"""The verbs of the command line that call a server: each is a method of the client.

Its options are the keywords of the method, so a new one of the client is there by itself.
"""

from typing import Final

from inventory_grpc.cli.calls.beside import policy_in_force, total_of_product
from inventory_grpc.cli.calls.verb import Verb
from inventory_grpc.client import SyncInventoryClient as Client

_STOCK: Final = ("product_id", "store_id")
_UNITS: Final = (*_STOCK, "quantity")
_CART: Final = ("reservation_id",)
_CART_LINES: Final = (*_CART, "lines")
_PRODUCT: Final = ("product_id",)
_STORE: Final = ("store_id",)

VERBS: Final = (
    Verb(
        "stock get",
        "Show a stock, as it is or as it was.",
        Client.get_stock,
        "stock",
        "kettle lisbon",
        _STOCK,
    ),
    Verb(
        "stock list",
        "List stocks by product and store.",
        Client.list_stock,
        "stocks",
        "--store lisbon --low-stock",
    ),
    Verb(
        "stock add",
        "Receive units: they have come in.",
        Client.add_stock,
        "stock",
        "kettle lisbon 5 --reference delivery-7",
        _UNITS,
    ),
    Verb(
        "stock remove",
        "Take out units that nobody has reserved, such as a sale at the till.",
        Client.remove_stock,
        "stock",
        "kettle lisbon 1 --reference receipt-31",
        _UNITS,
    ),
    Verb(
        "stock adjust",
        "Correct a stock by some units, or to a count.",
        Client.adjust_stock,
        "stock",
        "kettle lisbon --delta -1 --reason broken",
        _STOCK,
        required=("reason",),
    ),
    Verb(
        "stock move",
        "Move units from one state to another.",
        Client.move_stock,
        "stock",
        "kettle lisbon 1 --to-state damaged",
        _UNITS,
    ),
    Verb(
        "stock fence",
        "Set units aside for a channel, or take them back.",
        Client.fence_stock,
        "stock",
        "kettle lisbon --channel web --delta 3",
        _STOCK,
    ),
    Verb(
        "stock reverse",
        "Undo one change of a stock; `stock history` has its position.",
        Client.reverse_event,
        "stock",
        "7 --reason 'delivery counted twice'",
        ("reversed_position",),
        required=("reason",),
    ),
    Verb(
        "stock history",
        "List what happened to a stock, newest first.",
        Client.list_events,
        "events",
        "kettle lisbon --limit 20",
        ("product_ids", "store_ids"),
        {"newest_first": True},
    ),
    Verb(
        "cart reserve",
        "Reserve units for a customer, for a while.",
        Client.reserve_stock,
        "reservation",
        "kettle lisbon 2 mug lisbon 1 --customer ana --cart cart-7",
        ("lines",),
    ),
    Verb("cart show", "Show a cart.", Client.get_reservation, "reservation", "cart-7", _CART),
    Verb(
        "cart list",
        "List carts, newest first.",
        Client.list_reservations,
        "reservations",
        "--customer ana --state active",
    ),
    Verb(
        "cart commit",
        "Sell a cart, or some of its lines: its units leave the stock.",
        Client.commit_reservation,
        "reservation",
        "cart-7 --order order-12",
        _CART_LINES,
    ),
    Verb(
        "cart release",
        "Give back a cart, or some of its lines.",
        Client.release_reservation,
        "reservation",
        "cart-7",
        _CART_LINES,
    ),
    Verb(
        "cart extend",
        "Hold a cart for longer.",
        Client.extend_reservation,
        "reservation",
        "cart-7 --ttl 15m",
        _CART,
    ),
    Verb(
        "cart amend",
        "Have a cart hold these units in place of those that it holds.",
        Client.amend_reservation,
        "reservation",
        "cart-7 kettle lisbon 1",
        _CART_LINES,
    ),
    Verb(
        "cart check",
        "Show what is available of each line, and reserve nothing.",
        Client.check_availability,
        "lines",
        "kettle lisbon 2",
        ("lines",),
    ),
    Verb(
        "cart at-risk",
        "List reserved lines that the stock does not cover.",
        Client.list_reservations_at_risk,
        "lines",
        "--store lisbon",
    ),
    Verb(
        "product put",
        "Make a product of the catalogue, or replace its content.",
        Client.put_product,
        "product",
        "kettle --name 'Kettle, 1.7 l' --sku K-17",
        _PRODUCT,
    ),
    Verb(
        "product get",
        "Show a product, and its units in all stores.",
        Client.get_product,
        "product",
        "kettle",
        _PRODUCT,
        beside=total_of_product,
    ),
    Verb("product list", "List products.", Client.list_products, "products", "--state active"),
    Verb(
        "product stock",
        "List the stock of a product in each store.",
        Client.get_product_inventory,
        "stocks",
        "kettle",
        _PRODUCT,
    ),
    Verb(
        "product retire",
        "Sell off a product: nothing more comes in. `--restore` takes it back.",
        Client.retire_product,
        "product",
        "kettle",
        _PRODUCT,
    ),
    Verb(
        "store put",
        "Make a store of the catalogue, or replace its content.",
        Client.put_store,
        "store",
        "lisbon --kind store --name Lisbon",
        _STORE,
    ),
    Verb("store get", "Show a store.", Client.get_store, "store", "lisbon", _STORE),
    Verb("store list", "List stores.", Client.list_stores, "stores", "--kind warehouse"),
    Verb(
        "store retire",
        "Close a store: nothing more comes in. `--restore` opens it again.",
        Client.retire_store,
        "store",
        "lisbon",
        _STORE,
    ),
    Verb(
        "policy set",
        "Set all values of the policy of a product, a store, both, or all stocks.",
        Client.set_policy,
        "policy",
        "--product kettle --safety-stock 2 --low-stock-at 5",
    ),
    Verb(
        "policy get",
        "Show the policy of a scope; for one stock also the values in force, and their sources.",
        Client.get_policy,
        "policy",
        "--product kettle --store lisbon",
        beside=policy_in_force,
    ),
    Verb("policy list", "List policies.", Client.list_policies, "policies", "--store lisbon"),
)

STATUS: Final = Verb(
    "status",
    "Show the version and log of a server, and whether it accepts writes.",
    Client.get_server_info,
    "",
)
