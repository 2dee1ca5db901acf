package main

// What a role may do. The shop asks this directly; with ROLE=policy others ask it over HTTP.

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

var grants = map[string][]string{"clerk": {"order:read", "order:create"}}

// refusal is why a role may not do something, "" where it may.
func refusal(role, action, resource string) string {
	if slices.Contains(grants[role], resource+":"+action) {
		return ""
	}
	for holder, granted := range grants {
		if slices.Contains(granted, resource+":"+action) {
			return "lacks the role " + holder
		}
	}
	return "nobody may do this"
}

type question struct{ Subject, Role, Action, Resource string }

type decision struct {
	Allow  bool   `json:"allow"`
	Reason string `json:"reason"`
}

// decide answers 200 whatever the decision is: the question was answered. Who asked enforces it.
func decide(w http.ResponseWriter, r *http.Request) {
	var asked question
	if !read(w, r, &asked) {
		return
	}
	reason := refusal(asked.Role, asked.Action, asked.Resource)
	// Its error is the decision itself, and that is in reason.
	_ = check(r.Context(), "auth.authorize", func(_ context.Context, span trace.Span) error {
		if reason != "" {
			span.SetAttributes(attribute.String("authz.decision", "deny"))
			return refused{"policy_denied", reason}
		}
		span.SetAttributes(attribute.String("authz.decision", "allow"))
		return nil
	}, clientAddress(r), attribute.String("user.id", asked.Subject), attribute.StringSlice("user.roles", []string{asked.Role}),
		attribute.String("auth.resource", asked.Resource), attribute.String("auth.action", asked.Action))
	slog.InfoContext(r.Context(), "decided", "allow", reason == "")
	answer(w, http.StatusOK, decision{Allow: reason == "", Reason: reason})
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(into); err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": "bad_request"})
		return false
	}
	return true
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
