// Shop runs one of the sample services: shop gateway|orders|storefront|stock|payments|docs|auth|otlp.
// It listens on a free port and prints it.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
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

func serve(ctx context.Context, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		late, stop := context.WithTimeout(context.Background(), 3*time.Second)
		defer stop()
		_ = server.Shutdown(late)
	}()
	if err := server.Serve(listen()); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %d\n", listener.Addr().(*net.TCPAddr).Port)
	return listener
}
