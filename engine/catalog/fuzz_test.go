package catalog

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/model"
)

// FuzzRecord decodes any bytes as each kind of record.
func FuzzRecord(f *testing.F) {
	key := []byte{keyLog}
	for _, record := range []any{&LogRecord{Revision: 1, Durable: 9}, &metas("t", 1, 1)[0], &events(1)[0], &Identity{Epoch: 2}} {
		value, err := encodeRecord(key, record)
		must(f, err)
		f.Add(value[checksumBytes:])
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		value := append(make([]byte, checksumBytes), payload...)
		for _, record := range []any{&LogRecord{}, &PartitionRecord{}, &manifestHead{}, &block.Meta{}, &alarm.Event{}, &Identity{}} {
			// Past the checksum, which a fuzzer cannot guess.
			sum := checksum(key, payload)
			value[0], value[1], value[2], value[3] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
			_ = decodeRecord(key, value, record)
			value[0] ^= 1
			if decodeRecord(key, value, record) == nil {
				t.Fatal("a wrong checksum was accepted")
			}
		}
	})
}

// FuzzCursor goes on from any cursor.
func FuzzCursor(f *testing.F) {
	c := open(f, vfs.NewMem())
	f.Cleanup(func() { must(f, c.Close()) })
	must(f, c.PutEvents("t", events(20)))
	_, next, err := c.Events("t", EventQuery{Span: model.AllTime(), Limit: 5})
	must(f, err)
	f.Add(next, uint64(0))
	f.Add("AAAA", uint64(2))
	f.Fuzz(func(t *testing.T, cursor string, id uint64) {
		page, _, err := c.Events("t", EventQuery{Alarm: id, Span: model.AllTime(), After: cursor, Limit: 7})
		if err == nil && len(page) > 7 {
			t.Fatalf("%d events", len(page))
		}
	})
}

// FuzzManifest reads any bytes as pebble's manifest: what is whole ends within
// them, and what follows is found to be whole only if it is not torn.
func FuzzManifest(f *testing.F) {
	files := smallCatalog(f, 3)
	names, err := files.List(dir)
	must(f, err)
	for _, name := range names {
		if kindOf(name) == "MANIFEST" {
			f.Add(read(f, files, name))
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		state, err := readManifest(content)
		if err != nil {
			return
		}
		if state.wholeTo < 0 || state.wholeTo > int64(len(content)) {
			t.Fatalf("whole to byte %d of %d", state.wholeTo, len(content))
		}
		again, err := readManifest(content[:state.wholeTo])
		if err != nil || again != state {
			t.Fatalf("the whole part reads as %+v, %v; with what follows as %+v", again, err, state)
		}
		_ = wholeRecordIn(bytes.Clone(content[state.wholeTo:]))
	})
}
