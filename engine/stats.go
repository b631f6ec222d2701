package engine

// Stats says how much a database holds in blocks.
type Stats struct {
	Tenants     int
	Blocks      int    // files
	Rows        uint64 // in blocks
	HeadRows    int    // in heads, frozen ones included
	RawBytes    uint64 // of chunks
	RollupBytes uint64 // of rollups
	IndexBytes  uint64 // of everything else in block files
}

// Stats adds up the blocks and heads of all tenants.
func (db *DB) Stats() (Stats, error) {
	if err := db.gate.enter(); err != nil {
		return Stats{}, err
	}
	defer db.gate.leave()
	var s Stats
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		s.Tenants++
		t.mu.RLock()
		for _, m := range t.blocks {
			s.Blocks++
			s.Rows += m.Rows
			s.RawBytes += m.ChunkBytes
			s.RollupBytes += m.RollupBytes
			s.IndexBytes += m.Bytes - m.ChunkBytes - m.RollupBytes
		}
		s.HeadRows += t.active.Rows()
		for _, f := range t.frozen {
			s.HeadRows += f.Rows()
		}
		t.mu.RUnlock()
	}
	return s, nil
}
