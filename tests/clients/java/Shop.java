import com.google.protobuf.Any;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import inventory.v1.*;
import io.grpc.*;
import io.grpc.protobuf.StatusProto;
import java.util.concurrent.TimeUnit;

public class Shop {
  public static void main(String[] arguments) throws Exception {
    ManagedChannel server = ManagedChannelBuilder.forTarget("127.0.0.1:50051").usePlaintext().build();
    var commands = InventoryCommandsGrpc.newBlockingStub(server);
    var events = InventoryEventsGrpc.newBlockingStub(server);

    var delivery = AddStockRequest.newBuilder()
        .setProductId("kettle").setStoreId("lisbon").setQuantity(5).setRequestId("delivery-1").build();
    var answer = commands.withDeadlineAfter(5, TimeUnit.SECONDS).addStock(delivery);
    System.out.println("available: " + answer.getStock().getAvailable());

    var toHead = SubscribeRequest.newBuilder().setStopAtHead(true).build();
    events.withDeadlineAfter(5, TimeUnit.SECONDS).subscribe(toHead).forEachRemaining(message -> {
      for (Event event : message.getEventsList())
        System.out.printf("event: %d %s %d%n", event.getPosition(), event.getProductId(), event.getAfter().getAvailable());
    });

    var sale = RemoveStockRequest.newBuilder()
        .setProductId("kettle").setStoreId("lisbon").setQuantity(9).setRequestId("sale-1").build();
    try {
      commands.withDeadlineAfter(5, TimeUnit.SECONDS).removeStock(sale);
    } catch (StatusRuntimeException error) {
      Status status = StatusProto.fromThrowable(error);
      if (status.getDetailsCount() == 0) throw error; // from gRPC or the network: the outcome is not known
      String reason = "";
      ShortLine line = null;
      for (Any detail : status.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) reason = detail.unpack(ErrorInfo.class).getReason();
        if (detail.is(ShortLines.class)) line = detail.unpack(ShortLines.class).getLines(0);
      }
      System.out.printf("refused: %s, %d asked, %d available%n", reason, line.getAsked(), line.getAvailable());
    }
    server.shutdown();
  }
}
