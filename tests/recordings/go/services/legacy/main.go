// Legacy runs some of the shop's services under the instrumentation libraries of early 2024, with the conventions of then.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	flush := telemetry(ctx)
	defer flush()
	switch name := os.Args[1]; name {
	case "gateway":
		serve(ctx, gateway())
	case "orders":
		serve(ctx, orders(ctx))
	case "storefront":
		serve(ctx, storefront())
	case "stock":
		serveRPC(ctx, stock())
	case "payments":
		serveRPC(ctx, payments())
	default:
		log.Fatalf("no service %q", name)
	}
}
