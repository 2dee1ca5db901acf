package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

var client = &http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport), Timeout: 3 * time.Second}

// gateway verifies tokens and forwards /api/ to orders; /session/ goes there first with the token it keeps for the session,
// and /overview does without what orders refuses.
func gateway() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", authenticated(http.StripPrefix("/api", http.HandlerFunc(forward))))
	mux.Handle("/session/", authenticated(http.StripPrefix("/session", http.HandlerFunc(renewed))))
	mux.Handle("GET /overview", authenticated(http.HandlerFunc(overview)))
	return otelhttp.NewHandler(mux, "gateway")
}

func forward(w http.ResponseWriter, r *http.Request) {
	answer, err := call(r.Context(), r.Method, os.Getenv("ORDERS")+r.URL.RequestURI(), r.Header.Get("Authorization"), r.Body)
	if err != nil {
		http.Error(w, "orders does not answer", http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

// renewed tries again with the caller's token where the kept one is refused.
func renewed(w http.ResponseWriter, r *http.Request) {
	answer, err := call(r.Context(), r.Method, os.Getenv("ORDERS")+r.URL.RequestURI(), os.Getenv("KEPT"), nil)
	if err == nil && answer.StatusCode == http.StatusUnauthorized {
		_ = answer.Body.Close()
		forward(w, r)
		return
	}
	http.Error(w, "the kept token was not refused", http.StatusInternalServerError)
}

func overview(w http.ResponseWriter, r *http.Request) {
	for _, part := range []string{"/orders", "/reports"} {
		answer, err := call(r.Context(), http.MethodGet, os.Getenv("ORDERS")+part, r.Header.Get("Authorization"), nil)
		if err == nil {
			_ = answer.Body.Close()
		}
	}
	w.WriteHeader(http.StatusOK)
}

func call(ctx context.Context, method, url, authorization string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	return client.Do(request)
}
