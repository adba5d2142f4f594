package main

import "golang.org/x/sys/unix"

// noCore keeps what is in memory (keys, plaintext, a store's credentials) out of
// core files. A limit of one byte, since one of none does not hold where a program
// is handed the core (core(5)); those that are started inherit it.
func noCore() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = min(1, limit.Max)
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit) // a limit may always be lowered
	}
}
