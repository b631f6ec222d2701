package catalog

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// Check reads every byte of the catalog that counts, without writing any, and
// reports what is damaged: the file, or the catalog's folder where pebble does
// not tell, and the offset, 0 where it is not known. Nobody may have the
// catalog open for writing. The error says that the catalog could not be
// checked at all, such as disk.ErrNotFound.
//
// Not noticed is damage to what nothing is read from: files that are obsolete,
// the text of pebble's OPTIONS, and the end of the log behind its last sync,
// which cannot be told from a write that a crash cut off.
func Check(files vfs.FS, dir string, report func(path string, offset int64, what string)) error {
	r := func(err error) {
		var corruption *disk.Corruption
		if errors.As(err, &corruption) {
			report(corruption.Path, corruption.Offset, corruption.Err.Error())
		} else {
			report(dir, 0, err.Error())
		}
	}
	c, err := Open(files, dir, Options{ReadOnly: true})
	if errors.Is(err, disk.ErrCorrupt) {
		r(err)
		return nil
	}
	if err != nil {
		return err
	}
	c.checkTables(r)
	if err := protect(func() error { return c.db.CheckLevels(nil) }); err != nil {
		r(c.readError(err))
	}
	c.checkRecords(r)
	if err := c.Close(); err != nil {
		r(err)
	}
	return nil
}

// checkTables verifies the checksum of every block of every live table.
func (c *Catalog) checkTables(report func(error)) {
	var levels [][]pebble.SSTableInfo
	err := protect(func() (err error) { levels, err = c.db.SSTables(); return err })
	if err != nil {
		report(c.readError(err))
		return
	}
	for _, level := range levels {
		for _, table := range level {
			path := c.guard.PathJoin(c.dir, fmt.Sprintf("%s.sst", table.BackingSSTNum))
			if err := protect(func() error { return c.checkTable(path) }); err != nil {
				report(disk.Corrupt(path, 0, "%w", err))
			}
		}
	}
}

func (c *Catalog) checkTable(path string) error {
	file, err := c.guard.Open(path)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	table, err := sstable.NewReader(context.Background(), readable, sstable.ReaderOptions{})
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	return errors.Join(table.ValidateBlockChecksums(), table.Close())
}

// checkRecords decodes every record, and counts those that belong together.
func (c *Catalog) checkRecords(report func(error)) {
	damaged := 0
	err := c.scan(c.db, []byte{0}, []byte{0xff}, func(key, value []byte) (bool, error) {
		if err := c.checkRecord(key, value); err != nil {
			damaged++
			report(c.badRecord(key, err))
		}
		return true, nil
	})
	if err != nil {
		report(err)
		return
	}
	if damaged > 0 {
		return // the manifests would say the same again
	}
	if err := c.Manifests(func(model.Tenant, Manifest) error { return nil }); err != nil {
		report(err)
	}
}

// checkRecord decodes one record.
func (c *Catalog) checkRecord(key, value []byte) error {
	var record any
	switch key[0] {
	case keyIdentity:
		record = &Identity{}
	case keyLog:
		record = &LogRecord{}
	case keyPartition:
		record = &PartitionRecord{}
	case keyManifest:
		record = &manifestHead{}
	case keyBlock:
		record = &block.Meta{}
	case keyEvent:
		record = &alarm.Event{}
	case keyEventOfEntry:
		record = &eventOfEntry{}
	case keyDeletion:
		record = &TenantDeletion{}
	case keyService:
		record = &serviceRecord{}
	case keyEventOfAlarm:
		if len(value) != 0 {
			return fmt.Errorf("has %d bytes, want none", len(value))
		}
		return c.checkEventOfAlarm(key)
	default:
		return errors.New("is of an unknown kind")
	}
	return decodeRecord(key, value, record)
}

// checkEventOfAlarm looks for the event that an alarm's key points to.
func (c *Catalog) checkEventOfAlarm(key []byte) error {
	end := 1
	for end < len(key) && key[end] != 0 {
		end++
	}
	tail := end + 1 + 8 // behind the alarm
	if len(key) != tail+placeBytes {
		return fmt.Errorf("has a key of %d bytes", len(key))
	}
	var event alarm.Event
	found, err := c.get(c.db, append(tenantKey(keyEvent, model.Tenant(key[1:end])), key[tail:]...), &event)
	if err == nil && !found {
		return errors.New("its event is missing")
	}
	return err
}

// Pebble names the file of most errors in their text only.
var (
	namedFile = regexp.MustCompile(`(MANIFEST|OPTIONS)-[0-9]{6}|\b[0-9]{6}\.(log|sst)\b|marker\.[a-z.-]+\.[0-9]{6}\.[A-Za-z0-9-]+`)
	namedLog  = regexp.MustCompile(`(?:replaying wal|corrupt wal) ([0-9]+)`)
	namedSST  = regexp.MustCompile(`(?:invalid table|file) ([0-9]{6})\b`)
)

// fileNamedBy returns the path of the file that an error of pebble names, or
// that pebble reported just before; else the catalog's folder.
func (c *Catalog) fileNamedBy(err error) string {
	if path := c.log.corrupted.Swap(nil); path != nil {
		return *path
	}
	text := fmt.Sprintf("%+v", err)
	name := namedFile.FindString(text)
	if match := namedLog.FindStringSubmatch(text); match != nil {
		name = fmt.Sprintf("%06s.log", match[1])
	} else if match := namedSST.FindStringSubmatch(text); match != nil {
		name = match[1] + ".sst"
	}
	if name == "" {
		return c.dir
	}
	return c.guard.PathJoin(c.dir, name)
}
