package crypto_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"

	"filippo.io/age"

	"github.com/lifeboat-dr/lifeboat/crypto"
)

func ExampleNewReader() {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	w, err := age.Encrypt(&file, id.Recipient())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(w, "the backup")
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	_, _, err = crypto.NewReader(bytes.NewReader(file.Bytes()), crypto.Keys{})
	fmt.Println(errors.Is(err, crypto.ErrNoKey), err)

	plain, info, err := crypto.NewReader(&file, crypto.Keys{Identities: []age.Identity{id}})
	if err != nil {
		log.Fatal(err)
	}
	content, err := io.ReadAll(plain) // no error: the last chunk was authenticated
	fmt.Println(info.Recipients, string(content), err)
	// Output:
	// true no key fits: encrypted to X25519 (1); no identity was given
	// [X25519] the backup <nil>
}
