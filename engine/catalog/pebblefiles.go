package catalog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"

	"github.com/hokan-db/hokan/engine/disk"
)

// Pebble takes a manifest only as far as its records are whole, and deletes
// the files that it then does not know: one changed byte would silently undo
// whatever came after it. So the manifest is looked at before pebble opens.
//
// What a crash leaves is a record that is not whole at the manifest's very end,
// whose effects the logs still hold. Damage is
//   - a whole record after one that is not;
//   - a log that the last whole record counts on and that is gone, because a
//     later record, which is not whole any more, had made it dispensable.

// manifestState is what the whole records of a manifest say.
type manifestState struct {
	wholeTo int64  // end of the last whole record
	minLog  uint64 // rows of logs from this number on are in no table yet
	nextNew uint64 // file numbers from here on were given later
}

// checkPebbleFiles returns a disk.Corruption where the manifest lost records.
func (c *Catalog) checkPebbleFiles() error {
	names, err := c.guard.List(c.dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	found, err := pebble.Peek(c.dir, c.guard)
	if err != nil {
		return err
	}
	numbers := numberFiles(names, found.ManifestFilename)
	if !found.Exists {
		if len(numbers.tables) > 0 {
			return disk.Corrupt(c.dir, 0, "holds tables but names no manifest")
		}
		return nil
	}
	content, err := c.readFile(found.ManifestFilename)
	if err != nil {
		return err
	}
	state, err := readManifest(content)
	if err != nil {
		return disk.Corrupt(found.ManifestFilename, state.wholeTo, "%w", err)
	}
	if wholeRecordIn(content[state.wholeTo:]) {
		return disk.Corrupt(found.ManifestFilename, state.wholeTo, "record is damaged, a later one is whole")
	}
	if c.lostLog(numbers, state) {
		return disk.Corrupt(found.ManifestFilename, state.wholeTo, "last record is damaged, the log that it replaced is gone")
	}
	return nil
}

// readManifest reads the whole records.
func readManifest(content []byte) (manifestState, error) {
	var state manifestState
	records := record.NewReader(bytes.NewReader(content), 0)
	for {
		next, err := records.Next()
		var edit []byte
		if err == nil {
			edit, err = io.ReadAll(next)
		}
		if errors.Is(err, io.EOF) || record.IsInvalidRecord(err) {
			return state, nil
		}
		if err != nil {
			return state, err
		}
		state.wholeTo = records.Offset()
		state.apply(edit)
	}
}

// The fields with which the encoding of a manifest's record begins.
const (
	fieldComparer = 1 // counted string
	fieldMinLog   = 2
	fieldNextFile = 3
	fieldLastRow  = 4
	fieldPrevLog  = 9
)

// apply takes the numbers that a record begins with.
func (s *manifestState) apply(edit []byte) {
	for {
		field, n := binary.Uvarint(edit)
		if n <= 0 {
			return
		}
		edit = edit[n:]
		value, n := binary.Uvarint(edit)
		if n <= 0 {
			return
		}
		edit = edit[n:]
		switch field {
		case fieldComparer:
			if value > uint64(len(edit)) {
				return
			}
			edit = edit[value:]
		case fieldMinLog:
			s.minLog = value
		case fieldNextFile:
			s.nextNew = value
		case fieldLastRow, fieldPrevLog:
		default:
			return
		}
	}
}

// wholeRecordIn reports whether a chunk of a manifest's record stands anywhere
// in b: u32 LE masked CRC32C over what follows the length, u16 LE length of
// the payload, u8 type 1 to 4, payload.
func wholeRecordIn(b []byte) bool {
	const header = 7
	for ; len(b) > header; b = b[1:] {
		length := int(binary.LittleEndian.Uint16(b[4:]))
		if kind := b[6]; length == 0 || kind < 1 || kind > 4 || header+length > len(b) {
			continue
		}
		sum := crc32.Checksum(b[6:header+length], castagnoli)
		if binary.LittleEndian.Uint32(b) == (sum>>15|sum<<17)+0xa282ead8 {
			return true
		}
	}
	return false
}

// fileNumbers are the numbers of a catalog's files.
type fileNumbers struct {
	logs, tables []uint64
	manifest     uint64 // the one in use, made early in opening
	options      uint64 // the newest, written when opening is nearly done
}

func numberFiles(names []string, manifest string) fileNumbers {
	var f fileNumbers
	if _, digits, ok := strings.Cut(manifest, "MANIFEST-"); ok {
		f.manifest, _ = strconv.ParseUint(digits, 10, 64)
	}
	for _, name := range names {
		base, extension, _ := strings.Cut(name, ".")
		digits, isOptions := strings.CutPrefix(base, "OPTIONS-")
		number, err := strconv.ParseUint(digits, 10, 64)
		switch {
		case err != nil:
		case extension == "log":
			f.logs = append(f.logs, number)
		case extension == "sst":
			f.tables = append(f.tables, number)
		case isOptions && extension == "":
			f.options = max(f.options, number)
		}
	}
	return f
}

// lostLog reports whether a log that the manifest counts on is gone. Its
// number is the manifest's if it was begun while the catalog was open, and
// lies between that and the newest OPTIONS if it was begun in opening.
func (c *Catalog) lostLog(numbers fileNumbers, state manifestState) bool {
	if numbers.options == 0 {
		return false // a crash cut off the first opening, before any row
	}
	for _, log := range numbers.logs {
		if log == state.minLog || log > state.minLog && log < numbers.options {
			return false
		}
	}
	if state.minLog < numbers.options {
		return true
	}
	// A crash may have cut off an opening that had emptied all logs into
	// tables: then no log holds a row. No table is newer than the record, unless
	// the opening, which had not written its OPTIONS, had begun to merge some.
	for _, table := range numbers.tables {
		if table >= state.nextNew && numbers.options > numbers.manifest {
			return true
		}
	}
	for _, log := range numbers.logs {
		if log > state.minLog && !c.isEmptyLog(log) {
			return true
		}
	}
	return false
}

// isEmptyLog reports whether a log holds no row.
func (c *Catalog) isEmptyLog(number uint64) bool {
	content, err := c.readFile(c.guard.PathJoin(c.dir, fmt.Sprintf("%06d.log", number)))
	if err != nil {
		return false
	}
	_, err = numbered(record.NewReader, bytes.NewReader(content), number).Next()
	return err != nil
}

// numbered calls open with a number of pebble's type for it, which is internal.
func numbered[N ~uint64](open func(io.Reader, N) *record.Reader, r io.Reader, number uint64) *record.Reader {
	return open(r, N(number))
}

// readFile returns a file's bytes.
func (c *Catalog) readFile(path string) ([]byte, error) {
	file, err := c.guard.Open(path)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(file)
	return content, errors.Join(err, file.Close())
}
