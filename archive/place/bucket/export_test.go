package bucket

// SetPartSize makes uploads of many parts cheap.
func (b *Bucket) SetPartSize(n int64) { b.part = n }
