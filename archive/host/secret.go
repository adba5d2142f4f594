package host

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/lifeboat-dr/lifeboat"
	"github.com/lifeboat-dr/lifeboat/registry"
)

// ErrNoSecret says that a backup has no such Secret, or that it cannot be read.
var ErrNoSecret = errors.New("no such Secret that can be read")

// Secret gives the data of a Secret in a backup.
func Secret(ctx context.Context, b *lifeboat.Backup, namespace, name string) (map[string][]byte, error) {
	fail := func(why error) error {
		return fmt.Errorf("reading Secret %s/%s: %w", namespace, name, why)
	}
	reg, err := b.Objects(0)
	if err != nil {
		return nil, fail(err)
	}
	for entry, err := range reg.Entries(ctx, func(k registry.Key) bool {
		return k.Resource() == "secrets" && k.Namespace == namespace && k.Name == name
	}) {
		if err != nil {
			return nil, fail(err)
		}
		object := reg.Decode(ctx, entry)
		content, err := object.Content()
		if err != nil || content == nil {
			return nil, fail(errors.Join(ErrNoSecret, err))
		}
		data, _ := content["data"].(map[string]any)
		out := map[string][]byte{}
		for key, v := range data {
			text, _ := v.(string)
			if out[key], err = base64.StdEncoding.DecodeString(text); err != nil {
				return nil, fail(ErrNoSecret)
			}
		}
		return out, nil
	}
	return nil, fail(ErrNoSecret)
}
