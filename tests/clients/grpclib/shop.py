import asyncio

from google.rpc.error_details_pb2 import ErrorInfo
from grpclib.client import Channel
from grpclib.exceptions import GRPCError
from inventory.v1.commands_grpc import InventoryCommandsStub
from inventory.v1.commands_pb2 import AddStockRequest, RemoveStockRequest
from inventory.v1.errors_pb2 import ShortLines
from inventory.v1.events_grpc import InventoryEventsStub
from inventory.v1.events_pb2 import SubscribeRequest

kettle = {"product_id": "kettle", "store_id": "lisbon"}


async def main():
    async with Channel("127.0.0.1", 50051) as server:
        commands, events = InventoryCommandsStub(server), InventoryEventsStub(server)
        delivery = AddStockRequest(**kettle, quantity=5, request_id="delivery-1")
        answer = await commands.AddStock(delivery, timeout=5)
        print("available:", answer.stock.available)

        async with events.Subscribe.open(timeout=5) as following:
            await following.send_message(SubscribeRequest(stop_at_head=True), end=True)
            async for message in following:
                for event in message.events:
                    print("event:", event.position, event.product_id, event.after.available)

        try:
            sale = RemoveStockRequest(**kettle, quantity=9, request_id="sale-1")
            await commands.RemoveStock(sale, timeout=5)
        except GRPCError as error:
            if not error.details:
                raise  # it comes from gRPC or from the network: the outcome is not known
            details = {type(one): one for one in error.details}
            info, short = details[ErrorInfo], details[ShortLines].lines[0]
            print(f"refused: {info.reason}, {short.asked} asked, {short.available} available")


asyncio.run(main())
