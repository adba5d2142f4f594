// Package snapshot is a read-only view of an etcd database: the file that
// `etcdctl snapshot save` writes, or a member's member/snap/db.
//
// [Open] looks at the whole page graph before anything follows a pointer in
// it, because the reader underneath (bbolt) trusts its file: a page that points
// at itself would end the process. Then [DB.At] walks the keyspace as it stood
// at a revision, in one pass and without copying a value; [DB.Info],
// [DB.Members], [DB.Alarms] and [DB.HashKV] say what etcdctl says of a running
// member, with the same figures:
//
//	db, err := snapshot.Open(ctx, "etcd-backup.snapshot")
//	if err != nil { … }
//	defer db.Close()
//	for kv, err := range db.At(ctx, 0, nil) { … }
//
// The file is never written to, and a file that a running etcd holds is refused
// ([ErrInUse]), not waited for. bbolt's data pages carry no checksum: a
// well-formed page with a wrong byte in a value is found by the sha256 trailer
// of a snapshot alone, see [TrailerHash].
//
// The package knows the formats of etcd 3.0 to 3.7 and nothing of what is
// stored under the keys.
package snapshot
