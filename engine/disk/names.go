package disk

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/hokan-db/hokan/engine/model"
)

// The files of a data folder:
//
//	LOCK                 locked by the process that has the folder open
//	FORMAT               the version of the folder's layout
//	catalog/             pebble
//	log/NUMBER.seg       segments of the log; NUMBER has at least 10 digits
//	checkpoints/PARTITION-EPOCH-OFFSET.ckpt
//	blocks/TENANT/LEVEL-FIRST-LAST-FIRSTOFFSET-LASTOFFSET-EPOCH-PART.blk
//	files/TENANT/HASH.upl   uploaded files; HASH is the SHA-256 of the file's name
//	keys/TENANT          wrapped data keys
//
// A name that ends in .tmp was being written when its process ended and is
// garbage; one that ends in .quarantine was found damaged and set aside.
const (
	LockName       = "LOCK"
	FormatName     = "FORMAT"
	CatalogDir     = "catalog"
	LogDir         = "log"
	CheckpointsDir = "checkpoints"
	BlocksDir      = "blocks"
	FilesDir       = "files"
	KeysDir        = "keys"

	TemporarySuffix  = ".tmp"
	QuarantineSuffix = ".quarantine"

	segmentSuffix    = ".seg"
	checkpointSuffix = ".ckpt"
	blockSuffix      = ".blk"
	uploadSuffix     = ".upl"
)

// Dirs are the folders of a data folder.
var Dirs = []string{CatalogDir, LogDir, CheckpointsDir, BlocksDir, FilesDir, KeysDir}

// SegmentName returns the name in log/ of a segment.
func SegmentName(number uint64) string {
	return fmt.Sprintf("%010d%s", number, segmentSuffix)
}

// ParseSegmentName is the inverse of SegmentName; false: not such a name.
func ParseSegmentName(base string) (number uint64, ok bool) {
	digits, found := strings.CutSuffix(base, segmentSuffix)
	if !found {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil && number > 0 && SegmentName(number) == base
}

// CheckpointName returns the object name of a partition's checkpoint, such as
// "checkpoints/07-0000000001-00000000000000000042.ckpt".
func CheckpointName(p model.Partition, epoch, offset uint64) string {
	return fmt.Sprintf("%s/%02d-%010d-%020d%s", CheckpointsDir, p, epoch, offset, checkpointSuffix)
}

// ParseCheckpointName is the inverse of CheckpointName; false: not such a name.
func ParseCheckpointName(name string) (p model.Partition, epoch, offset uint64, ok bool) {
	fields, ok := cutName(name, CheckpointsDir+"/", checkpointSuffix, 3)
	if !ok {
		return 0, 0, 0, false
	}
	var numbers [3]uint64
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.ParseUint(fields[i], 10, 64); err != nil {
			return 0, 0, 0, false
		}
	}
	if numbers[0] >= model.Partitions {
		return 0, 0, 0, false
	}
	p, epoch, offset = model.Partition(numbers[0]), numbers[1], numbers[2]
	return p, epoch, offset, CheckpointName(p, epoch, offset) == name
}

// BlockName is what the name of a block says.
type BlockName struct {
	Tenant                  model.Tenant
	Level                   string // such as "flush": lower-case letters only
	First, Last             int64  // every row lies in this span, both included, ns since the epoch: whole UTC days of one month
	FirstOffset, LastOffset uint64 // of the log: the rows are of entries between these, both included
	Epoch                   uint64
	Part                    uint32 // tells apart blocks of one flush
}

// String returns the object name. A time t stands in it as 16 hexadecimal
// digits of t plus 2^63, so that names of one level sort by time, those before
// 1970 included; the other numbers are decimal.
func (b BlockName) String() string {
	return fmt.Sprintf("%s/%s/%s-%016x-%016x-%020d-%020d-%010d-%05d%s", BlocksDir, b.Tenant, b.Level,
		biased(b.First), biased(b.Last), b.FirstOffset, b.LastOffset, b.Epoch, b.Part, blockSuffix)
}

// biased maps times to numbers that sort alike.
func biased(t int64) uint64 { return uint64(t) ^ 1<<63 }

// ParseBlockName is the inverse of BlockName.String; false: not such a name.
func ParseBlockName(name string) (BlockName, bool) {
	path := strings.Split(name, "/")
	if len(path) != 3 {
		return BlockName{}, false
	}
	b := BlockName{Tenant: model.Tenant(path[1])}
	fields, ok := cutName(path[2], "", blockSuffix, 7)
	if !ok || b.Tenant.Validate() != nil {
		return BlockName{}, false
	}
	b.Level = fields[0]
	for i := 0; i < len(b.Level); i++ {
		if b.Level[i] < 'a' || b.Level[i] > 'z' {
			return BlockName{}, false
		}
	}
	bases := [6]int{16, 16, 10, 10, 10, 10}
	sizes := [6]int{64, 64, 64, 64, 64, 32}
	var numbers [6]uint64
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.ParseUint(fields[i+1], bases[i], sizes[i]); err != nil {
			return BlockName{}, false
		}
	}
	b.First, b.Last = int64(numbers[0]^1<<63), int64(numbers[1]^1<<63)
	b.FirstOffset, b.LastOffset = numbers[2], numbers[3]
	b.Epoch, b.Part = numbers[4], uint32(numbers[5])
	return b, b.Level != "" && b.String() == name
}

// UploadDir returns the folder of a tenant's uploaded files.
func UploadDir(t model.Tenant) string { return FilesDir + "/" + string(t) }

// UploadName returns the object name of an uploaded file. Of the file's own
// name it has only a hash, so that neither its length nor its letters matter to
// a file system.
func UploadName(t model.Tenant, file string) string {
	return fmt.Sprintf("%s/%x%s", UploadDir(t), sha256.Sum256([]byte(file)), uploadSuffix)
}

// ParseUploadName returns the tenant of an uploaded file; false: not such a
// name.
func ParseUploadName(name string) (model.Tenant, bool) {
	path := strings.Split(name, "/")
	if len(path) != 3 || path[0] != FilesDir || model.Tenant(path[1]).Validate() != nil {
		return "", false
	}
	digits, ok := strings.CutSuffix(path[2], uploadSuffix)
	if hash, err := hex.DecodeString(digits); err != nil || len(hash) != sha256.Size || strings.ToLower(digits) != digits {
		return "", false
	}
	return model.Tenant(path[1]), ok
}

// cutName splits what stands between prefix and suffix at its dashes.
func cutName(name, prefix, suffix string, count int) ([]string, bool) {
	name, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return nil, false
	}
	if name, ok = strings.CutSuffix(name, suffix); !ok {
		return nil, false
	}
	fields := strings.Split(name, "-")
	return fields, len(fields) == count
}

// IsTemporary reports whether a file of this name is garbage that an ended
// process left.
func IsTemporary(name string) bool { return strings.HasSuffix(name, TemporarySuffix) }

// IsQuarantined reports whether a file of this name was set aside as damaged.
func IsQuarantined(name string) bool { return strings.HasSuffix(name, QuarantineSuffix) }
