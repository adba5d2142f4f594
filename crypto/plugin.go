package crypto

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// ErrPlugin says that a key belongs to an age plugin, which is another
// program, and that none may be run.
var ErrPlugin = errors.New("the key of a plugin, which is another program")

// A plugin is a program age-plugin-NAME in the PATH that is given the file key
// or the header's stanzas (C2SP age-plugin.md). Whoever names one in a key
// file has it run, with the rights of whoever reads that file; so every
// function that takes a *plugin.ClientUI takes nil for: run none, such a key
// is ErrPlugin.

// pluginType is what Recipient.Type says before the plugin was asked.
const pluginType = "plugin "

// isPluginRecipient tells age1NAME1…: the native age1pq1 and age1 with one
// separator are not among them.
func isPluginRecipient(text string) bool {
	return strings.HasPrefix(text, "age1") && !strings.HasPrefix(text, "age1pq1") && strings.Count(text, "1") > 1
}

func pluginRecipient(text string, ui *plugin.ClientUI) (Recipient, error) {
	if ui == nil {
		return Recipient{}, fmt.Errorf("parsing recipient: %w", ErrPlugin)
	}
	r, err := plugin.NewRecipient(text, ui)
	if err != nil {
		return Recipient{}, errors.New("parsing recipient: malformed key of a plugin")
	}
	return Recipient{r, text, pluginType + r.Name()}, nil
}

// pluginKey is a plugin's identity. What goes wrong in the plugin is no damage
// of the file that it was to open.
type pluginKey struct{ key *plugin.Identity }

func (p *pluginKey) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	fileKey, err := p.key.Unwrap(stanzas)
	if err == nil || errors.Is(err, age.ErrIncorrectIdentity) {
		return fileKey, err
	}
	return nil, &lockedError{&NoKeyError{Recipients: typesOf(stanzas), Identities: 1, Err: err}}
}

// parseNative reads age's own keys and those of plugins, one a line. age keeps
// key material out of its errors from 1.3.2 on. Plugins come last: they are
// asked when no other key fits.
func parseNative(data []byte, ui *plugin.ClientUI) ([]age.Identity, error) {
	lines := strings.Split(string(data), "\n")
	var plugins []age.Identity
	native := 0
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if !strings.HasPrefix(line, "AGE-PLUGIN-") {
			if line != "" && line[0] != '#' {
				native++
			}
			continue
		}
		if ui == nil {
			return nil, fmt.Errorf("line %d: %w", i+1, ErrPlugin)
		}
		key, err := plugin.NewIdentity(line, ui)
		if err != nil {
			return nil, fmt.Errorf("line %d: malformed key of a plugin", i+1)
		}
		plugins = append(plugins, &pluginKey{key})
		lines[i] = "" // age counts the lines of the rest
	}
	if native == 0 && len(plugins) > 0 {
		return plugins, nil
	}
	list, err := age.ParseIdentities(strings.NewReader(strings.Join(lines, "\n")))
	return append(list, plugins...), err
}

// wrap asks a recipient for its stanzas and, as age.Encrypt does, for the
// labels that all recipients of a file must share.
func (r Recipient) wrap(fileKey []byte) (stanzas []*age.Stanza, labels []string, err error) {
	if labeled, ok := r.Recipient.(age.RecipientWithLabels); ok {
		stanzas, labels, err = labeled.WrapWithLabels(fileKey)
	} else {
		stanzas, err = r.Wrap(fileKey)
	}
	slices.Sort(labels)
	return stanzas, labels, err
}
