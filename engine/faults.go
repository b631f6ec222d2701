package engine

import (
	"fmt"
	"sync"

	"github.com/hokan-db/hokan/engine/entry"
)

// maxFaults bounds how many faults are kept; all are counted.
const maxFaults = 100

// faultList collects damage that was found and did not stop the database.
type faultList struct {
	mu     sync.Mutex
	kept   []error
	total  int
	known  map[string]bool
	refuse int // entries that could not be applied
}

// add keeps err unless the same was added before.
func (f *faultList) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known[err.Error()] {
		return
	}
	f.total++
	if len(f.kept) < maxFaults {
		if f.known == nil {
			f.known = map[string]bool{}
		}
		f.known[err.Error()] = true
		f.kept = append(f.kept, err)
	}
}

// quarantined counts an entry that could not be applied.
func (f *faultList) quarantined(e *entry.Entry, err error) {
	f.mu.Lock()
	f.refuse++
	f.mu.Unlock()
	f.add(fmt.Errorf("entry %d of tenant %s quarantined: %w", e.Offset, e.Tenant, err))
}

// Err returns why every write is refused until the database is opened again: a
// failed sync, or Close. Reads may go on.
func (db *DB) Err() error {
	if err := db.gate.enter(); err != nil {
		return err
	}
	defer db.gate.leave()
	if failure := db.logFailure.Load(); failure != nil {
		return *failure
	}
	return db.catalog.Err()
}

// Faults returns the damage found since Open, at most 100 of it, and how many
// log entries could not be applied. Each names its place. A clock that was set
// back is named too.
func (db *DB) Faults() (faults []error, quarantined int) {
	faults, quarantined = db.listFaults()
	if fault := db.clock.fault.Load(); fault != nil {
		faults = append(faults, *fault)
	}
	return faults, quarantined
}

// listFaults returns the damage alone.
func (db *DB) listFaults() (faults []error, quarantined int) {
	db.faults.mu.Lock()
	defer db.faults.mu.Unlock()
	return append([]error(nil), db.faults.kept...), db.faults.refuse
}
