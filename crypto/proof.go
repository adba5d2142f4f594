package crypto

import (
	"bytes"
	"cmp"
	"io"

	"filippo.io/age"
)

// proof authenticates a payload that is written to it, while it is copied.
type proof struct {
	*io.PipeWriter
	plain int64 // bytes authenticated
	done  chan error
}

func newProof(header, fileKey []byte) *proof {
	r, w := io.Pipe()
	p := &proof{PipeWriter: w, done: make(chan error, 1)}
	go func() {
		plain, err := age.Decrypt(io.MultiReader(bytes.NewReader(header), r), age.NewInjectedFileKeyIdentity(fileKey))
		if err == nil {
			p.plain, err = io.Copy(io.Discard, plain)
		}
		r.CloseWithError(err) // a copy that goes on ends with it
		p.done <- err
	}()
	return p
}

// end says what is wrong with the payload, and how much of it is not.
func (p *proof) end() (plain int64, err error) {
	p.Close()
	err = <-p.done
	return p.plain, err
}

// both writes to a copy and to its proof side by side: each has work to do with
// what it gets.
type both struct {
	copy  io.Writer
	proof *proof
}

func (b both) Write(p []byte) (int, error) {
	proven := make(chan error, 1)
	go func() {
		_, err := b.proof.Write(p)
		proven <- err
	}()
	n, err := b.copy.Write(p)
	return n, cmp.Or(err, <-proven)
}
