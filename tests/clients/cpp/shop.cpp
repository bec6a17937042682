#include <chrono>
#include <iostream>

#include <grpcpp/grpcpp.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "inventory/v1/commands.grpc.pb.h"
#include "inventory/v1/errors.pb.h"
#include "inventory/v1/events.grpc.pb.h"

using namespace inventory::v1;

struct Soon : grpc::ClientContext {
  Soon() { set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5)); }
};

int fail(const grpc::Status& status) {
  std::cerr << status.error_message() << "\n";  // the outcome is not known
  return 1;
}

int main() {
  auto server = grpc::CreateChannel("127.0.0.1:50051", grpc::InsecureChannelCredentials());
  auto commands = InventoryCommands::NewStub(server);
  auto events = InventoryEvents::NewStub(server);

  AddStockRequest delivery;
  delivery.set_product_id("kettle");
  delivery.set_store_id("lisbon");
  delivery.set_quantity(5);
  delivery.set_request_id("delivery-1");
  AddStockResponse added;
  Soon adding, following, removing;
  if (auto status = commands->AddStock(&adding, delivery, &added); !status.ok()) return fail(status);
  std::cout << "available: " << added.stock().available() << "\n";

  SubscribeRequest to_head;
  to_head.set_stop_at_head(true);
  auto stream = events->Subscribe(&following, to_head);
  for (SubscribeResponse message; stream->Read(&message);)
    for (const auto& event : message.events())
      std::cout << "event: " << event.position() << " " << event.product_id() << " " << event.after().available() << "\n";
  if (auto status = stream->Finish(); !status.ok()) return fail(status);

  RemoveStockRequest sale;
  sale.set_product_id("kettle");
  sale.set_store_id("lisbon");
  sale.set_quantity(9);
  sale.set_request_id("sale-1");
  RemoveStockResponse removed;
  auto refusal = commands->RemoveStock(&removing, sale, &removed);
  google::rpc::Status status;
  if (!status.ParseFromString(refusal.error_details()) || status.details().empty()) return fail(refusal);
  google::rpc::ErrorInfo info;
  ShortLines shortage;
  for (const auto& detail : status.details()) detail.UnpackTo(&info) || detail.UnpackTo(&shortage);
  std::cout << "refused: " << info.reason() << ", " << shortage.lines(0).asked() << " asked, "
            << shortage.lines(0).available() << " available\n";
}
