package disk

import (
	"fmt"
	"sync"
)

// durableDirs makes folders durable, each once: a name that is there already may
// stem from a process that was killed before it had synced the folder.
type durableDirs struct {
	fs   FS
	root string // is there and durable

	mu   sync.Mutex
	done map[string]bool
}

// newDurableDirs returns those below root.
func newDurableDirs(fsys FS, root string) *durableDirs {
	return &durableDirs{fs: fsys, root: root, done: map[string]bool{root: true}}
}

// make makes the folder dir, which lies below the root, and every folder
// between them, durably.
func (d *durableDirs) make(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.makeLocked(dir)
}

func (d *durableDirs) makeLocked(dir string) error {
	if d.done[dir] {
		return nil
	}
	parent := d.fs.PathDir(dir)
	if parent == dir {
		return fmt.Errorf("%w: %s is not below %s", ErrBadName, dir, d.root)
	}
	if err := d.makeLocked(parent); err != nil {
		return err
	}
	if err := MakeDir(d.fs, dir); err != nil {
		return err
	}
	d.done[dir] = true
	return nil
}
