package apiserver

// SetBuffer makes lists of more stored bytes be written as they are read.
func (s *Server) SetBuffer(bytes int64) { s.buffer = bytes }
