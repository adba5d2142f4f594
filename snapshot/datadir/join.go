package datadir

import "fmt"

// Join is a survivor made of two members of one cluster: the log of one whose
// database cannot be read, and the database of another. By raft's log matching
// two logs that have the same entry agree on all before it, so a database that
// applied that entry is what the log's owner had then. nil where no pair reaches
// beyond best, or none is proved to fit.
//
// Dir and Log are the first one's, Lender is the second.
func Join(survivors []*Survivor, best *Survivor) *Survivor {
	var joined *Survivor
	for _, s := range survivors {
		if s.DatabaseErr == nil {
			continue
		}
		for _, lender := range survivors {
			j := s.with(lender)
			if j == nil {
				continue
			}
			beyond := best
			if joined != nil {
				beyond = joined
			}
			index, term := j.Newest()
			than, thanTerm := beyond.Newest()
			if beyond.DatabaseErr != nil || after(index, term, than, thanTerm) {
				joined = j
			}
		}
	}
	return joined
}

// with is the log of s on the database of another member, nil where it does not
// continue that.
func (s *Survivor) with(lender *Survivor) *Survivor {
	index, term := lender.Info.RaftIndex, lender.Info.RaftTerm
	if lender.DatabaseErr != nil || lender.Joined() || s.Log.ClusterID == 0 || s.Log.ClusterID != lender.Log.ClusterID {
		return nil
	}
	stretch := s.Log.at(index)
	if stretch == nil || stretch.Last == index {
		return nil
	}
	if theirs := lender.Log.at(index); term == 0 && theirs != nil { // etcd 3.4's database has none
		term, _ = theirs.Term(index)
	}
	if own, _ := stretch.Term(index); term == 0 || own != term {
		return nil
	}
	j := *lender
	j.Dir, j.Log, j.Lender = s.Dir, s.Log, lender
	j.Belongs = Belonging{Proved, fmt.Sprintf("entry %d is of term %d in this log and in the database of %q", index, term, lender.Dir.Path)}
	return &j
}

// Joined reports whether the database is another member's.
func (s *Survivor) Joined() bool { return s.Lender != nil }
