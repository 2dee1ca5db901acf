// The whole shop in one service; with ROLE=policy only the one who decides what a caller may do.
//
//	TOKEN_KEY=... DATABASE_URL=postgresql://app_user:...@127.0.0.1:5432/shop PORT=8080 go run .
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	part, name := os.Getenv("ROLE"), "go-shop"
	if part == "policy" {
		name = "policy"
	} else if len(tokenKey()) < 32 {
		return errors.New("TOKEN_KEY must be set, to at least 32 bytes.")
	}
	flush, err := setUp(ctx, name)
	if err != nil {
		return err
	}
	defer func() {
		// The signal has ended ctx; what is still queued gets some seconds more.
		late, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = flush(late)
	}()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, map[string]bool{"healthy": true})
	})
	if part == "policy" {
		mux.HandleFunc("POST /decide", decide)
	} else {
		orders, err := openDatabase(ctx, os.Getenv("DATABASE_URL"))
		if err != nil {
			return err
		}
		shop{orders}.routes(mux)
	}
	server := &http.Server{
		Addr:    net.JoinHostPort(cmp.Or(os.Getenv("HOST"), "127.0.0.1"), cmp.Or(os.Getenv("PORT"), "8080")),
		Handler: instrument(mux), ReadHeaderTimeout: 5 * time.Second,
	}
	ended := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		ended <- server.Shutdown(late)
	})
	slog.Info("listening", "address", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	// Requests that had begun are answered before their spans are flushed.
	return <-ended
}
