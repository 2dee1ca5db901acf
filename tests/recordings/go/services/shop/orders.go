package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

const insufficientPrivilege = "42501"

type shop struct {
	pool *pgxpool.Pool
	may  decider
}

// orders keeps the shop's orders in PostgreSQL; what a caller may do is asked of POLICY where one is named.
func orders(ctx context.Context) http.Handler {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE"))
	if err != nil {
		log.Fatal(err)
	}
	config.ConnConfig.Tracer = otelpgx.NewTracer()
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	s := &shop{pool: pool, may: deciderOf(os.Getenv("POLICY"))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", s.guarded("read", s.list))
	mux.HandleFunc("GET /orders/{id}", s.guarded("read", s.show))
	mux.HandleFunc("POST /orders", s.guarded("create", s.create))
	mux.HandleFunc("DELETE /orders/{id}", s.guarded("delete", s.remove))
	mux.HandleFunc("GET /ledger", s.guarded("audit", s.ledger))
	mux.HandleFunc("POST /refunds", s.guarded("refund", s.refund))
	mux.HandleFunc("GET /reports", s.guarded("report", s.reports))
	mux.HandleFunc("POST /removals", s.guarded("read", s.removals))
	mux.HandleFunc("POST /searches", s.guarded("read", s.search))
	return otelhttp.NewHandler(mux, "orders")
}

type handler func(w http.ResponseWriter, r *http.Request, who *claims)

// guarded verifies the token again, asks the policy engine, and hands on.
func (s *shop) guarded(action string, next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := verified(r.Header.Get("Authorization"))
		if err != nil {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		trace.SpanFromContext(r.Context()).SetAttributes(attribute.String("enduser.id", who.Subject))
		if s.may != nil {
			allowed, err := s.may(r.Context(), who, action, r.PathValue("id"))
			if err != nil && os.Getenv("FAIL") != "open" {
				http.Error(w, "forbidden", http.StatusForbidden)
				return
			}
			if err == nil && !allowed && os.Getenv("DENIED") != "ignored" {
				if os.Getenv("DENIED") == "hidden" {
					http.Error(w, "no such order", http.StatusNotFound)
					return
				}
				http.Error(w, "forbidden", http.StatusForbidden)
				return
			}
		}
		next(w, r, who)
	}
}

func (s *shop) list(w http.ResponseWriter, r *http.Request, who *claims) {
	err := s.inTenant(r.Context(), who.Tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(r.Context(), "SELECT id, item FROM orders")
		if err != nil {
			return err
		}
		rows.Close()
		return rows.Err()
	})
	answer(w, err, http.StatusOK)
}

func (s *shop) show(w http.ResponseWriter, r *http.Request, who *claims) {
	var item string
	err := s.inTenant(r.Context(), who.Tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(r.Context(), "SELECT item FROM orders WHERE id = $1", r.PathValue("id")).Scan(&item)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		http.Error(w, "no such order", http.StatusNotFound)
		return
	}
	answer(w, err, http.StatusOK)
}

func (s *shop) create(w http.ResponseWriter, r *http.Request, who *claims) {
	order := struct{ Tenant, Item string }{Tenant: who.Tenant}
	_ = json.NewDecoder(r.Body).Decode(&order)
	err := s.inTenant(r.Context(), who.Tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(r.Context(), "INSERT INTO orders (tenant, item) VALUES ($1, $2)", order.Tenant, order.Item)
		return err
	})
	if code(err) == insufficientPrivilege {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	answer(w, err, http.StatusCreated)
}

func (s *shop) remove(w http.ResponseWriter, r *http.Request, who *claims) {
	if !who.has("clerk") {
		http.Error(w, "only a clerk removes orders", http.StatusForbidden)
		return
	}
	err := s.inTenant(r.Context(), who.Tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(r.Context(), "DELETE FROM orders WHERE id = $1", r.PathValue("id"))
		return err
	})
	answer(w, err, http.StatusNoContent)
}

func (s *shop) reports(w http.ResponseWriter, r *http.Request, who *claims) {
	if !who.has("clerk") {
		http.Error(w, "reports are for clerks", http.StatusForbidden)
		return
	}
	s.list(w, r, who)
}

func (s *shop) ledger(w http.ResponseWriter, r *http.Request, _ *claims) {
	var total int
	answer(w, s.pool.QueryRow(r.Context(), "SELECT sum(total) FROM ledger").Scan(&total), http.StatusOK)
}

// refund reserves first, in a transaction of its own, and books then.
func (s *shop) refund(w http.ResponseWriter, r *http.Request, _ *claims) {
	if _, err := s.pool.Exec(r.Context(), "INSERT INTO reservations (order_id, state) VALUES (1, 'refund')"); err != nil {
		answer(w, err, 0)
		return
	}
	_, err := s.pool.Exec(r.Context(), "INSERT INTO ledger (total) VALUES (-10)")
	if code(err) == insufficientPrivilege {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	answer(w, err, http.StatusCreated)
}

// search asks of each order whether it may be seen, and shows those that may.
func (s *shop) search(w http.ResponseWriter, r *http.Request, who *claims) {
	seen := 0
	for _, id := range []string{"1", "2", "3"} {
		if s.may == nil {
			seen++
		} else if allowed, err := s.may(r.Context(), who, "view", id); err == nil && allowed {
			seen++
		}
	}
	w.WriteHeader(http.StatusOK)
	_ = json.NewEncoder(w).Encode(map[string]int{"seen": seen})
}

// removals removes of three orders those that may be removed, and says how many these were.
func (s *shop) removals(w http.ResponseWriter, r *http.Request, who *claims) {
	removed := 0
	for _, id := range []string{"1", "2", "3"} {
		if allowed, err := s.may(r.Context(), who, "delete", id); err != nil || !allowed {
			continue
		}
		err := s.inTenant(r.Context(), who.Tenant, func(tx pgx.Tx) error {
			_, err := tx.Exec(r.Context(), "DELETE FROM orders WHERE id = $1", id)
			return err
		})
		if err == nil {
			removed++
		}
	}
	w.WriteHeader(http.StatusOK)
	_ = json.NewEncoder(w).Encode(map[string]int{"removed": removed})
}

func (s *shop) inTenant(ctx context.Context, tenant string, work func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT set_config('app.tenant', $1, true)", tenant); err != nil {
			return err
		}
		return work(tx)
	})
}

func answer(w http.ResponseWriter, err error, status int) {
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
}

func code(err error) string {
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}
