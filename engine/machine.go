package engine

import (
	"errors"
	"path"
	"sync"
	"time"

	"github.com/hokan-db/hokan/engine/disk"
)

// MachineBytes is what a database takes up on the disk. In bytes.
type MachineBytes struct {
	Log       uint64
	Blocks    uint64 // and uploaded files
	Catalog   uint64 // and checkpoints
	Temporary uint64 // of what is being written
}

// machineAge is how many nanoseconds what was counted stays good.
const machineAge = int64(10 * time.Second)

// machineBytes is what MachineBytes counted last.
type machineBytes struct {
	mu      sync.Mutex
	counted int64 // clock time
	known   bool
	bytes   MachineBytes
}

// MachineBytes returns what the database takes up on the disk, as of ten
// seconds ago at most.
func (db *DB) MachineBytes() (MachineBytes, error) {
	if err := db.gate.enter(); err != nil {
		return MachineBytes{}, err
	}
	defer db.gate.leave()
	m := &db.machine
	m.mu.Lock()
	defer m.mu.Unlock()
	now := db.options.Clock().UnixNano()
	if age := now - m.counted; !m.known || age >= machineAge || age < 0 {
		bytes, err := db.countMachineBytes()
		if err != nil {
			return MachineBytes{}, err
		}
		m.bytes, m.counted, m.known = bytes, now, true
	}
	return m.bytes, nil
}

func (db *DB) countMachineBytes() (m MachineBytes, err error) {
	for _, dir := range []struct {
		name string
		sum  *uint64
	}{{disk.LogDir, &m.Log}, {disk.CatalogDir, &m.Catalog}, {disk.CheckpointsDir, &m.Catalog}} {
		bytes, err := db.dirBytes(path.Join(db.options.Dir, dir.name))
		if err != nil {
			return m, err
		}
		*dir.sum += bytes
	}
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		files, err := db.loadedFiles(t)
		if err != nil {
			return m, err
		}
		m.Blocks += files.physical()
		t.mu.RLock()
		for i := range t.blocks {
			m.Blocks += t.blocks[i].Bytes
		}
		t.mu.RUnlock()
	}
	m.Temporary = uint64(db.local.Writing())
	return m, nil
}

// dirBytes adds up the files of a folder that has no others in it.
func (db *DB) dirBytes(dir string) (bytes uint64, err error) {
	names, err := db.fs.List(dir)
	for _, name := range names {
		info, err := db.fs.Stat(path.Join(dir, name))
		if err = disk.Wrap(err); errors.Is(err, disk.ErrNotFound) {
			continue // removed meanwhile
		} else if err != nil {
			return 0, err
		}
		bytes += uint64(info.Size())
	}
	if err = disk.Wrap(err); errors.Is(err, disk.ErrNotFound) {
		err = nil
	}
	return bytes, err
}
