package wal

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/hokan-db/hokan/engine/disk"
)

// maxFindings bounds how many faults, and how many notes, are kept.
const maxFindings = 1000

// record keeps findings, each once: several cursors read the same segments.
type record struct {
	mu      sync.Mutex
	seen    map[string]bool
	damaged map[string]bool // names of segments
	faults  []error
	notes   []string
}

func newRecord() *record {
	return &record{seen: map[string]bool{}, damaged: map[string]bool{}}
}

func (r *record) fault(name string, offset int64, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.damaged[name] = true
	err := &disk.Corruption{Path: name, Offset: offset, Err: errors.New(what)}
	if key := err.Error(); !r.seen[key] && len(r.faults) < maxFindings {
		r.seen[key] = true
		r.faults = append(r.faults, err)
	}
}

func (r *record) note(name string, offset int64, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key := noteText(name, offset, what); !r.seen[key] && len(r.notes) < maxFindings {
		r.seen[key] = true
		r.notes = append(r.notes, key)
	}
}

func noteText(name string, offset int64, what string) string {
	return fmt.Sprintf("%s: byte %d: %s", name, offset, what)
}

func (r *record) isDamaged(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.damaged[name]
}

func (r *record) damagedList() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.damaged))
}

func (r *record) faultList() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.faults...)
}

func (r *record) noteList() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.notes...)
}
