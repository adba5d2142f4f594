package local

// MostConnections are served at once.
const MostConnections = mostConnections
