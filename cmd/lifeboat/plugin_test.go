package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// pluginMain is age-plugin-lock, a plugin for the scripts: X25519 under a
// stanza type of its own, and behind a PIN where the key says so.
func pluginMain() {
	p, err := plugin.New("lock")
	if err != nil {
		panic(err)
	}
	if len(os.Args) == 3 && os.Args[1] == "keygen" {
		fmt.Println(keygen(os.Args[2]))
		return
	}
	p.RegisterFlags(flag.NewFlagSet("age-plugin-lock", flag.ExitOnError))
	p.HandleRecipient(func(data []byte) (age.Recipient, error) {
		r, err := age.ParseX25519Recipient(string(data))
		return lockRecipient{r}, err
	})
	p.HandleIdentity(func(data []byte) (age.Identity, error) {
		key, pin := strings.CutPrefix(string(data), "pin:")
		id, err := age.ParseX25519Identity(key)
		return lockIdentity{id, p, pin}, err
	})
	os.Exit(p.Main())
}

// keygen prints an identity file with its recipient in a comment.
func keygen(kind string) string {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	key := id.String()
	if kind == "pin" {
		key = "pin:" + key
	}
	return "# " + plugin.EncodeRecipient("lock", []byte(id.Recipient().String())) + "\n" + plugin.EncodeIdentity("lock", []byte(key))
}

type lockRecipient struct{ key *age.X25519Recipient }

func (l lockRecipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	stanzas, err := l.key.Wrap(fileKey)
	for _, s := range stanzas {
		s.Type = "lock"
	}
	return stanzas, err
}

type lockIdentity struct {
	key *age.X25519Identity
	p   *plugin.Plugin
	pin bool
}

func (l lockIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	var mine []*age.Stanza
	for _, s := range stanzas {
		if s.Type == "lock" {
			mine = append(mine, &age.Stanza{Type: "X25519", Args: s.Args, Body: s.Body})
		}
	}
	if len(mine) == 0 {
		return nil, age.ErrIncorrectIdentity
	}
	if l.pin {
		if pin, err := l.p.RequestValue("PIN of the token", true); err != nil || pin != "1234" {
			return nil, fmt.Errorf("the PIN is not right")
		}
	}
	return l.key.Unwrap(mine)
}
