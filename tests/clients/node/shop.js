const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const protobuf = require("protobufjs");

const options = { includeDirs: ["protos"], keepCase: true, defaults: true, longs: String, enums: String, oneofs: true };
const files = ["inventory/v1/commands.proto", "inventory/v1/events.proto"];
const { inventory } = grpc.loadPackageDefinition(loader.loadSync(files, options));
const server = ["127.0.0.1:50051", grpc.credentials.createInsecure()];
const commands = new inventory.v1.InventoryCommands(...server);
const events = new inventory.v1.InventoryEvents(...server);

const types = new protobuf.Root();
types.resolvePath = (_, file) => `protos/${file}`;
types.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto", "inventory/v1/errors.proto"], options);

function detailsOf(error) {
  const [status] = error.metadata.get("grpc-status-details-bin");
  if (!status) throw error; // it comes from gRPC or from the network: the outcome is not known
  const details = {};
  for (const { type_url, value } of types.lookupType("google.rpc.Status").decode(status).details) {
    const type = types.lookupType(type_url.split("/").pop());
    details[type.name] = type.toObject(type.decode(value), options);
  }
  return details;
}

const kettle = { product_id: "kettle", store_id: "lisbon" };
const soon = () => ({ deadline: Date.now() + 5000 });
commands.AddStock({ ...kettle, quantity: 5, request_id: "delivery-1" }, soon(), (error, answer) => {
  if (error) throw error;
  console.log("available:", answer.stock.available);
  const following = events.Subscribe({ stop_at_head: true }, soon());
  following.on("data", (message) => {
    for (const event of message.events) console.log("event:", event.position, event.product_id, event.after.available);
  });
  following.on("end", () => {
    commands.RemoveStock({ ...kettle, quantity: 9, request_id: "sale-1" }, soon(), (error) => {
      const { ErrorInfo: info, ShortLines: short } = detailsOf(error);
      console.log(`refused: ${info.reason}, ${short.lines[0].asked} asked, ${short.lines[0].available} available`);
    });
  });
});
