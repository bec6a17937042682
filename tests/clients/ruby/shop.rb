require "inventory/v1/commands_services_pb"
require "inventory/v1/errors_pb"
require "inventory/v1/events_services_pb"
require "google/protobuf/well_known_types"
require "google/rpc/error_details_pb"
include Inventory::V1

server = ["127.0.0.1:50051", :this_channel_is_insecure]
commands = InventoryCommands::Stub.new(*server, timeout: 5)
events = InventoryEvents::Stub.new(*server, timeout: 5)
kettle = { product_id: "kettle", store_id: "lisbon" }

answer = commands.add_stock(AddStockRequest.new(**kettle, quantity: 5, request_id: "delivery-1"))
puts "available: #{answer.stock.available}"

events.subscribe(SubscribeRequest.new(stop_at_head: true)).each do |message|
  message.events.each { |event| puts "event: #{event.position} #{event.product_id} #{event.after.available}" }
end

begin
  commands.remove_stock(RemoveStockRequest.new(**kettle, quantity: 9, request_id: "sale-1"))
rescue GRPC::BadStatus => error
  status = error.to_rpc_status
  raise unless status # it comes from gRPC or from the network: the outcome is not known
  details = status.details
  info = details.find { |one| one.is(Google::Rpc::ErrorInfo) }.unpack(Google::Rpc::ErrorInfo)
  short = details.find { |one| one.is(ShortLines) }.unpack(ShortLines).lines.first
  puts "refused: #{info.reason}, #{short.asked} asked, #{short.available} available"
end
