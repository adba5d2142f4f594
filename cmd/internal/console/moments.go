package console

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/lifeboat-dr/lifeboat"
)

// MomentsFlags are --rev and --at where several moments are looked at beside
// each other, and --older.
func MomentsFlags() []cli.Flag {
	var named []moment // of both flags, so that it is known which was named last
	return []cli.Flag{
		momentFlag{&cli.GenericFlag{Name: "rev", Value: &momentValue{&named, false}, Usage: "also as of etcd revision `N`, as context rev-N; repeatable, the last one is current"}},
		momentFlag{&cli.GenericFlag{Name: "at", Value: &momentValue{&named, true}, Usage: "also as of a `TIME`, as --rev of that moment's revision; repeatable"}},
		OlderFlag(),
	}
}

// Moments are the revisions that --rev and --at name, in the order in which they
// were named, each once: at its last place.
func Moments(c *cli.Context, env *Environment, src *lifeboat.Backup) ([]int64, error) {
	var revisions []int64
	for _, m := range *c.Generic("rev").(*momentValue).named {
		rev := m.revision
		if m.text != "" {
			var err error
			if rev, err = RevisionAt(c, env, src, m.text); err != nil {
				return nil, err
			}
		}
		revisions = append(slices.DeleteFunc(revisions, func(r int64) bool { return r == rev }), rev)
	}
	return revisions, nil
}

// moment is a revision, or a time in words.
type moment struct {
	revision int64
	text     string
}

// momentFlag may be given more than once.
type momentFlag struct{ *cli.GenericFlag }

// IsSliceFlag meets cli.DocGenerationSliceFlag.
func (momentFlag) IsSliceFlag() bool { return true }

// momentValue adds each value to a list that several flags share.
type momentValue struct {
	named *[]moment
	time  bool
}

func (v *momentValue) String() string { return "" } // there is no default

func (v *momentValue) Set(text string) error {
	m := moment{text: text}
	if !v.time {
		rev, err := strconv.ParseInt(text, 10, 64)
		if err != nil || rev <= 0 {
			return fmt.Errorf("%q is no revision", text)
		}
		m = moment{revision: rev}
	}
	*v.named = append(*v.named, m)
	return nil
}
