package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// An uploaded file is a stream file (disk.StreamWriter). Its first frame says
// what it is, integers in little endian:
//
//	byte 0  i64  when it was put, in nanoseconds since the epoch
//	byte 8  u16  bytes of its name
//	byte 10      the name
//
// The others are the content, in frames of 64 KiB but for the last.
const uploadFrame = 64 << 10

// uploadHead is the size of the first frame's payload without the name.
const uploadHead = 10

// writeUpload writes an uploaded file with the content of r.
func writeUpload(w io.Writer, f File, r io.Reader) error {
	stream, err := disk.NewStreamWriter(w, disk.KindUpload, uploadFrame)
	if err != nil {
		return err
	}
	head := binary.LittleEndian.AppendUint64(nil, uint64(f.Time))
	head = binary.LittleEndian.AppendUint16(head, uint16(len(f.Name)))
	if _, err := stream.Write(append(head, f.Name...)); err != nil {
		return err
	}
	if err := stream.EndFrame(); err != nil {
		return err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{stream}, r, make([]byte, uploadFrame)); err != nil {
		return err
	}
	return stream.Close()
}

// fileBytes returns how many bytes a file takes on the disk.
func (f *File) fileBytes() uint64 {
	frames := 2 + (f.Size+uploadFrame-1)/uploadFrame
	return disk.HeaderSize + frames*disk.FrameHeaderSize + uploadHead + uint64(len(f.Name)) + f.Size
}

// contentSize returns how many bytes of content a whole file of so many bytes
// has.
func contentSize(file int64, name int) int64 {
	rest := file - disk.HeaderSize - (disk.FrameHeaderSize + uploadHead + int64(name)) - disk.FrameHeaderSize
	const frame = uploadFrame + disk.FrameHeaderSize
	frames := (rest + frame - 1) / frame
	return rest - frames*disk.FrameHeaderSize
}

// upload is the content of an open file.
type upload struct {
	*disk.StreamReader
	disk.Object
	db   *DB
	name string
}

// Read implements io.Reader. Damage is told to the database.
func (u *upload) Read(p []byte) (int, error) {
	n, err := u.StreamReader.Read(p)
	if errors.Is(err, disk.ErrCorrupt) {
		u.db.objectDamaged(u.name, err)
	}
	return n, err
}

// Close implements io.Closer.
func (u *upload) Close() error { return u.Object.Close() }

// openUpload opens a file at the start of its content.
func (db *DB) openUpload(t model.Tenant, object string) (*upload, error) {
	u, _, err := db.openFile(t, object)
	return u, err
}

// readFileInfo reads what the file called object says of itself.
func (db *DB) readFileInfo(t model.Tenant, object string) (File, error) {
	u, info, err := db.openFile(t, object)
	if err != nil {
		return File{}, err
	}
	return info, u.Close()
}

func (db *DB) openFile(t model.Tenant, object string) (*upload, File, error) {
	o, err := db.blocks.Open(object)
	if err != nil {
		return nil, File{}, err
	}
	stream, info, err := readUpload(o, object)
	if err == nil && disk.UploadName(t, info.Name) != object {
		err = otherFile(object, info)
	}
	if err != nil {
		o.Close() // of a file that was only read
		return nil, File{}, err
	}
	return &upload{stream, o, db, object}, info, nil
}

// readUpload reads the first frame.
func readUpload(o disk.Object, object string) (*disk.StreamReader, File, error) {
	stream, err := disk.NewStreamReader(o, object, disk.KindUpload)
	if err != nil {
		return nil, File{}, err
	}
	var head [uploadHead]byte
	if _, err := io.ReadFull(stream, head[:]); err != nil {
		return nil, File{}, cutOff(err, object, stream)
	}
	name := make([]byte, binary.LittleEndian.Uint16(head[8:]))
	if _, err := io.ReadFull(stream, name); err != nil {
		return nil, File{}, cutOff(err, object, stream)
	}
	size := contentSize(o.Size(), len(name))
	if size < 0 {
		return nil, File{}, disk.Corrupt(object, stream.Position(), "it has no end")
	}
	return stream, File{Name: string(name), Size: uint64(size), Time: int64(binary.LittleEndian.Uint64(head[:]))}, nil
}

func otherFile(object string, f File) error {
	return disk.Corrupt(object, 0, "it is the file %q", f.Name)
}

// cutOff makes the end of a stream where there must be more a corruption.
func cutOff(err error, object string, s *disk.StreamReader) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return disk.Corrupt(object, s.Position(), "it ends before its name does")
	}
	return fmt.Errorf("%s: %w", object, err)
}

// checkUpload reads all of an uploaded file and returns the first damage.
func checkUpload(store disk.Blocks, object string) error {
	o, err := store.Open(object)
	if err != nil {
		return err
	}
	defer o.Close()
	stream, info, err := readUpload(o, object)
	if err != nil {
		return err
	}
	if t, ok := disk.ParseUploadName(object); !ok || disk.UploadName(t, info.Name) != object {
		return otherFile(object, info)
	}
	_, err = io.Copy(io.Discard, stream)
	return err
}
