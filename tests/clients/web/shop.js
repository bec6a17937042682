import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { ErrorInfoSchema } from "./gen/es/google/rpc/error_details_pb.js";
import { InventoryCommands } from "./gen/es/inventory/v1/commands_pb.js";
import { ShortLinesSchema } from "./gen/es/inventory/v1/errors_pb.js";
import { InventoryEvents } from "./gen/es/inventory/v1/events_pb.js";

const gateway = createGrpcWebTransport({ baseUrl: "http://127.0.0.1:8080", defaultTimeoutMs: 5000 });
const commands = createClient(InventoryCommands, gateway);
const events = createClient(InventoryEvents, gateway);
const kettle = { productId: "kettle", storeId: "lisbon" };

const answer = await commands.addStock({ ...kettle, quantity: 5n, requestId: "delivery-1" });
console.log(`available: ${answer.stock.available}`);

for await (const message of events.subscribe({ stopAtHead: true })) {
  for (const event of message.events) console.log(`event: ${event.position} ${event.productId} ${event.after.available}`);
}

try {
  await commands.removeStock({ ...kettle, quantity: 9n, requestId: "sale-1" });
} catch (caught) {
  const error = ConnectError.from(caught);
  const [info] = error.findDetails(ErrorInfoSchema);
  if (!info) throw error; // it comes from the gateway or from the network: the outcome is not known
  const [short] = error.findDetails(ShortLinesSchema);
  console.log(`refused: ${info.reason}, ${short.lines[0].asked} asked, ${short.lines[0].available} available`);
}
