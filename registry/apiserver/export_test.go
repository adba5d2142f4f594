package apiserver

// SetBuffer makes lists of more stored bytes be written as they are read.
func (s *Server) SetBuffer(bytes int64) { s.buffer = bytes }

// SetBodies bounds the bodies that are kept, in bytes.
func (s *Server) SetBodies(most int) { s.bodies = newBodies(most) }

// KeptBodies counts the bodies that are kept, and their bytes.
func (s *Server) KeptBodies() (count, size int) {
	s.bodies.mu.Lock()
	defer s.bodies.mu.Unlock()
	return len(s.bodies.byID), s.bodies.size
}

// MostBusy bounds the requests that decode at the same time.
const MostBusy = mostBusy

// Busy counts the requests that decode.
func (s *Server) Busy() int { return len(s.busy) }
