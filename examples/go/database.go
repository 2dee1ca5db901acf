package main

// The shop's questions to PostgreSQL. Orders are asked for as their customer: the row policy decides what that shows.

import (
	"context"
	"errors"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

type database struct{ pool *pgxpool.Pool }

type account struct{ ID, Salt, Hash, Role, Customer string }

type order struct {
	ID       int    `json:"id"`
	Customer string `json:"customer"`
	Item     string `json:"item"`
}

var (
	errNotFound = errors.New("not found")
	// errRowPolicy: the span of the statement says why, by SQLSTATE 42501 and PostgreSQL's words.
	errRowPolicy = errors.New("row_level_security")
)

func openDatabase(ctx context.Context, url string) (*database, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.Tracer = withSQLState{otelpgx.NewTracer()}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return &database{pool}, err
}

func (d *database) account(ctx context.Context, name string) (*account, error) {
	found := &account{}
	err := d.pool.QueryRow(ctx, "SELECT id, password_salt, password_hash, role, customer FROM accounts WHERE name = $1", name).
		Scan(&found.ID, &found.Salt, &found.Hash, &found.Role, &found.Customer)
	return found, named(err)
}

func (d *database) order(ctx context.Context, customer string, id int) (*order, error) {
	found := &order{}
	err := d.as(ctx, customer, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT id, customer, item FROM orders WHERE id = $1", id).
			Scan(&found.ID, &found.Customer, &found.Item)
	})
	return found, err
}

func (d *database) add(ctx context.Context, customer string, wanted *order) error {
	return d.as(ctx, customer, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "INSERT INTO orders (customer, item) VALUES ($1, $2) RETURNING id", wanted.Customer, wanted.Item).
			Scan(&wanted.ID)
	})
}

// as runs one transaction in a customer's name.
func (d *database) as(ctx context.Context, customer string, work func(pgx.Tx) error) error {
	return named(pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT set_config('app.customer', $1, true)", customer); err != nil {
			return err
		}
		return work(tx)
	}))
}

func named(err error) error {
	var refusal *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return errNotFound
	case errors.As(err, &refusal) && refusal.Code == "42501":
		return errRowPolicy
	}
	return err
}
