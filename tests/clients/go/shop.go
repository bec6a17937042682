package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	inventory "inventory/v1"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	server, err := grpc.Dial("127.0.0.1:50051", grpc.WithInsecure())
	must(err)
	defer server.Close()
	commands, events := inventory.NewInventoryCommandsClient(server), inventory.NewInventoryEventsClient(server)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	answer, err := commands.AddStock(ctx, &inventory.AddStockRequest{
		ProductId: "kettle", StoreId: "lisbon", Quantity: 5, RequestId: "delivery-1",
	})
	must(err)
	fmt.Println("available:", answer.Stock.Available)

	following, err := events.Subscribe(ctx, &inventory.SubscribeRequest{StopAtHead: true})
	must(err)
	for {
		message, err := following.Recv()
		if err == io.EOF {
			break
		}
		must(err)
		for _, event := range message.Events {
			fmt.Println("event:", event.Position, event.ProductId, event.After.Available)
		}
	}

	_, err = commands.RemoveStock(ctx, &inventory.RemoveStockRequest{
		ProductId: "kettle", StoreId: "lisbon", Quantity: 9, RequestId: "sale-1",
	})
	var info *errdetails.ErrorInfo
	var short *inventory.ShortLine
	for _, detail := range status.Convert(err).Details() {
		switch one := detail.(type) {
		case *errdetails.ErrorInfo:
			info = one
		case *inventory.ShortLines:
			short = one.Lines[0]
		}
	}
	if info == nil {
		log.Fatal(err) // it comes from gRPC or from the network: the outcome is not known
	}
	fmt.Printf("refused: %s, %d asked, %d available\n", info.Reason, short.Asked, short.Available)
}
