package snapshot

import "fmt"

// Status is Info without LiveKeys, for which every record has to be looked at.
func (db *DB) Status() (Info, error) {
	pages := int64(db.meta.pages)
	info := Info{
		Size: pages * db.meta.pageSize, SizeInUse: db.usage.pages * db.meta.pageSize, FileSize: db.fileSize,
		PageSize: db.meta.pageSize, Pages: pages, FreePages: pages - db.usage.pages,
		Records: db.usage.leaves.records, Tombstones: db.usage.leaves.tombstones,
		Revision: db.revision, CompactRevision: db.compacted, ScheduledCompact: db.scheduled, FinishedCompact: db.finished,
	}
	if db.meta.other != nil {
		info.BadMeta = db.meta.other.Error()
	}
	if err := db.region.guarded(func() error { return db.readStatus(&info) }); err != nil {
		return Info{}, fmt.Errorf("reading status: %w", err)
	}
	return info, nil
}
