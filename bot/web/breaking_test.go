package web_test

import (
	"context"
	"errors"

	"countersign/bot/access"
)

// breaking is a log that can be read only half.
type breaking struct{ *memory }

func (b *breaking) Each(_ context.Context, f access.Filter, fn func(access.Request) error) error {
	for i, r := range b.matching(f) {
		if i > 2 {
			break
		}
		if err := fn(r); err != nil {
			return err
		}
	}
	return errors.New("half of it cannot be read")
}
