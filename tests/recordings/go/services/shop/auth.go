package main

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// auth answers a proxy that asks, before it forwards a request, whether it may: 401 without a token, 403 without the role.
func auth() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/verify", func(w http.ResponseWriter, r *http.Request) {
		who, err := verified(r.Header.Get("Authorization"))
		switch {
		case err != nil:
			http.Error(w, "unauthorized", http.StatusUnauthorized)
		case !who.has("clerk"):
			http.Error(w, "forbidden", http.StatusForbidden)
		default:
			w.Header().Set("X-User", who.Subject)
			w.WriteHeader(http.StatusOK)
		}
	})
	return otelhttp.NewHandler(mux, "auth")
}
