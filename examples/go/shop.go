package main

// The shop: who may come in, and what they may do to orders.

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

type shop struct{ database *database }

func (s shop) routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("GET /orders/{id}", s.guarded("read", s.read))
	mux.HandleFunc("POST /orders", s.guarded("create", s.create))
}

func (s shop) login(w http.ResponseWriter, r *http.Request) {
	var given struct{ Name, Password string }
	if !read(w, r, &given) {
		return
	}
	var found *account
	err := check(r.Context(), "auth.login", func(ctx context.Context, span trace.Span) (err error) {
		found, err = s.database.account(ctx, strings.ToLower(given.Name))
		unknown := errors.Is(err, errNotFound)
		if unknown {
			// A password is hashed as well, or the time of the answer would tell which names exist.
			found = &account{Salt: strings.Repeat("00", 16), Hash: strings.Repeat("00", 32)}
		} else if err != nil {
			return err
		}
		right, err := isPassword(given.Password, found.Salt, found.Hash)
		if err != nil {
			return err
		}
		if unknown {
			return refused{"unknown_user", "Nobody has this name."}
		}
		span.SetAttributes(attribute.String("user.id", found.ID))
		if !right {
			return refused{"invalid_credentials", "The password is wrong."}
		}
		span.SetAttributes(attribute.StringSlice("user.roles", []string{found.Role}))
		return nil
	}, attribute.String("auth.method", "password"), clientAddress(r), who(given.Name))
	if err != nil {
		refuse(w, r, err)
		return
	}
	token, err := issue(found.ID, found.Role, found.Customer)
	if err != nil {
		refuse(w, r, err)
		return
	}
	slog.InfoContext(r.Context(), "logged in")
	answer(w, http.StatusOK, map[string]string{"token": token})
}

// authenticated says who sent the request, by the token it carries.
func authenticated(r *http.Request) (found *caller, err error) {
	err = check(r.Context(), "auth.token_validate", func(_ context.Context, span trace.Span) (err error) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "bearer") || token == "" {
			return refused{"token_invalid", "No bearer token was sent."}
		}
		if found, err = signedByUs(token); err != nil {
			return err
		}
		// Before the check that may fail, so that it stands on refusals too.
		span.SetAttributes(found.attributes()...)
		return found.refuseExpired()
	}, attribute.String("auth.method", "bearer"), clientAddress(r))
	return found, err
}

func permitted(r *http.Request, who *caller, action string) error {
	return check(r.Context(), "auth.permission_check", func(_ context.Context, span trace.Span) error {
		span.SetAttributes(who.attributes()...)
		if reason := refusal(who.Role, action, "order"); reason != "" {
			return refused{"forbidden", reason}
		}
		return nil
	}, attribute.String("auth.method", "bearer"), clientAddress(r),
		attribute.String("auth.resource", "order"), attribute.String("auth.action", action))
}

func (c *caller) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("user.id", c.Subject), attribute.StringSlice("user.roles", []string{c.Role})}
}

// guarded hands a request on with its caller, once both checks have passed.
func (s shop) guarded(action string, next func(http.ResponseWriter, *http.Request, *caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := authenticated(r)
		if err == nil {
			err = permitted(r, who, action)
		}
		if err != nil {
			refuse(w, r, err)
			return
		}
		next(w, r, who)
	}
}

func (s shop) read(w http.ResponseWriter, r *http.Request, who *caller) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		refuse(w, r, errNotFound)
		return
	}
	found, err := s.database.order(r.Context(), who.Customer, id)
	if err != nil {
		refuse(w, r, err)
		return
	}
	slog.InfoContext(r.Context(), "order read")
	answer(w, http.StatusOK, found)
}

func (s shop) create(w http.ResponseWriter, r *http.Request, who *caller) {
	var wanted order
	if !read(w, r, &wanted) {
		return
	}
	if err := s.database.add(r.Context(), who.Customer, &wanted); err != nil {
		refuse(w, r, err)
		return
	}
	slog.InfoContext(r.Context(), "order written")
	answer(w, http.StatusCreated, map[string]int{"id": wanted.ID})
}

// refuse answers what went wrong. It tells less than the span does.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	var no refused
	status, word := http.StatusInternalServerError, "internal"
	switch {
	case errors.Is(err, errNotFound):
		status, word = http.StatusNotFound, "not_found"
	case errors.Is(err, errRowPolicy):
		status, word = http.StatusForbidden, errRowPolicy.Error()
	case errors.As(err, &no):
		switch no.reason {
		case "token_expired", "token_invalid":
			status, word = http.StatusUnauthorized, no.reason
			w.Header().Set("WWW-Authenticate", `Bearer error="`+no.reason+`"`)
		case "unknown_user", "invalid_credentials":
			status, word = http.StatusUnauthorized, "invalid_credentials"
		default:
			status, word = http.StatusForbidden, "forbidden"
		}
	}
	if status == http.StatusInternalServerError {
		slog.ErrorContext(r.Context(), "failed", "error", err.Error())
	} else {
		slog.WarnContext(r.Context(), "refused: "+word)
	}
	answer(w, status, map[string]string{"error": word})
}
