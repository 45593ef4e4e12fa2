package gitops

import (
	"context"
	"fmt"

	"countersign/bot/access"
	"countersign/bot/yamledit"
)

// Check says what would keep a grant from succeeding, as far as reading tells: the
// repository, the branch, the file and what stands at the key. A file that is not
// there yet is made by the first grant.
func (p *Provider) Check(ctx context.Context, t access.Target) error {
	at, err := placeOf(t)
	if err != nil {
		return err
	}
	data, err := p.editor.Read(ctx, at.repo, at.branch, at.file)
	if err != nil {
		return fmt.Errorf("gitops: read %s of branch %s: %w", at.file, at.branch, err)
	}
	// The entry is nobody's; that it could be added says that the file can be edited.
	if _, err := yamledit.Add(data, at.key, "nobody@countersign.invalid"); err != nil {
		return fmt.Errorf("gitops: %s: %w", at.file, err)
	}
	if !at.propose {
		return nil
	}
	f, err := p.pullsOf(at)
	if err == nil {
		d := at.draft("grant", "nobody@countersign.invalid")
		_, err = f.Pulls(ctx, d.Base, d.Branch)
	}
	if err != nil {
		return fmt.Errorf("gitops: via: pull_request: %w", err)
	}
	return nil
}
