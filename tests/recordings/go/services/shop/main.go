// Shop runs one of the sample services: shop gateway|orders|storefront|stock|payments|docs|portal|auth|otlp.
// It listens on a free port and prints it.
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
	case "docs":
		serve(ctx, docs())
	case "portal":
		serve(ctx, portal())
	case "auth":
		serve(ctx, auth())
	case "otlp":
		serveRPC(ctx, otlp())
	case "stock":
		serveRPC(ctx, stock())
	case "payments":
		serveRPC(ctx, payments())
	default:
		log.Fatalf("no service %q", name)
	}
}
