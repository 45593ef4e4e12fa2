package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
)

// sql asks the story's server, as its administrator, for one value, or has it do
// something that answers none.
func (w *world) sql(query string, args ...any) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", w.port))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	var value any
	if err = conn.QueryRow(ctx, query, args...).Scan(&value); errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return fmt.Sprint(value), err
}

// freePort is a port that nothing listens on at the moment.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
